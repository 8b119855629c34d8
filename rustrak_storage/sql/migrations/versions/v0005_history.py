"""Events can be filed anew."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPTIONS: dict[str, Any] = {
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "if_not_exists": True,  # MariaDB commits at each step: one that was interrupted is gone through again
}


def upgrade() -> None:
    """Add what filing events anew has to remember."""
    op.create_table(
        "rustrak_unsettled",
        sa.Column("issue_id", ID, autoincrement=False, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("issue_id", name="pk_rustrak_unsettled"),
        comment="Issues whose events were moved, and that do not yet say of them what is right",
        **OPTIONS,
    )
    op.create_index("ix_rustrak_unsettled_project_id", "rustrak_unsettled", ["project_id"], if_not_exists=True)
    op.create_table(
        "rustrak_backfill",
        sa.Column("project_id", ID, autoincrement=False, nullable=False),
        sa.Column("mechanism", sa.String(64), nullable=False, comment="Whose keys are worked out"),
        sa.Column("stage", sa.String(16), nullable=False, comment="reading, attaching or done"),
        sa.Column("upto", ID, nullable=False, comment="The last rustrak_event.id that was read"),
        sa.PrimaryKeyConstraint("project_id", name="pk_rustrak_backfill"),
        comment="How far the newer keys of a project's issues have been worked out from stored events",
        **OPTIONS,
    )
    op.create_table(
        "rustrak_newer_key",
        sa.Column("project_id", ID, autoincrement=False, nullable=False),
        sa.Column("value", sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb"), nullable=False),
        sa.Column("mechanism", sa.String(64), nullable=False),
        sa.Column("issue_id", ID, comment="NULL where events of several issues have it"),
        sa.PrimaryKeyConstraint("project_id", "value", "mechanism", name="pk_rustrak_newer_key"),
        comment="Newer keys that were worked out and are yet to be attached",
        **OPTIONS,
        sqlite_with_rowid=False,
    )
