"""Each project's rules on grouping, and the mechanisms that it has used."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "if_not_exists": True,  # MariaDB commits at each step: one that was interrupted is gone through again
}


def upgrade() -> None:
    """Add the table; a project without a row has used the mechanisms in its grouping keys."""
    op.create_table(
        "rustrak_grouping",
        sa.Column("project_id", ID, autoincrement=False, nullable=False),
        sa.Column("rules", LONG_TEXT, nullable=False, comment="TOML, to the letter"),
        sa.Column("used", sa.Text(), nullable=False, comment="JSON: mechanisms, in the order of their first use"),
        sa.Column("changed_at", sa.BigInteger(), comment="When rules were last set"),
        sa.PrimaryKeyConstraint("project_id", name="pk_rustrak_grouping"),
        comment="How a project wants its events grouped; without a row, it never said",
        **OPTIONS,
    )
