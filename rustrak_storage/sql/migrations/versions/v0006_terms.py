"""Terms by which similar issues are found. Those of issues that are there are read when they are first asked about."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HASH = sa.LargeBinary(8).with_variant(mysql.BINARY(8), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "if_not_exists": True,  # MariaDB commits at each step: one that was interrupted is gone through again
}


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "rustrak_issue_terms",
        sa.Column("issue_id", ID, autoincrement=False, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column(
            "terms", sa.Text(), nullable=False, comment="JSON: [[kind, text], ...], by which similar issues are found"
        ),
        sa.PrimaryKeyConstraint("issue_id", name="pk_rustrak_issue_terms"),
        **OPTIONS,
    )
    op.create_index("ix_rustrak_issue_terms_project_id", "rustrak_issue_terms", ["project_id"], if_not_exists=True)
    op.create_table(
        "rustrak_term",
        sa.Column("project_id", ID, autoincrement=False, nullable=False),
        sa.Column("term", HASH, nullable=False, comment="BLAKE2b of a term's kind and text"),
        sa.Column("issue_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "term", "issue_id", name="pk_rustrak_term"),
        sqlite_with_rowid=False,
        comment="That issue holds that term",
        **OPTIONS,
    )
    op.create_index("ix_rustrak_term_issue_id", "rustrak_term", ["issue_id"], if_not_exists=True)
