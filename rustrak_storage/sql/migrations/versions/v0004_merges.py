"""Issues that were merged into others, and what leads back to them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Let an issue lead to another, and a key remember whose it was.

    MariaDB commits at each step: one that was interrupted is gone through again, past what is done already.
    """
    for column in (
        sa.Column("merged_into", ID, comment="The issue that it was merged into, by whoever did it"),
        sa.Column("merged_at", sa.BigInteger()),
        sa.Column("leads_to", ID, comment="The issue that has its keys and events: merged_into, or what that leads to"),
        sa.Column(
            "era",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="How often it lost events to another issue",
        ),
    ):
        _add_column("rustrak_issue", column)
    op.create_index("ix_rustrak_issue_leads_to", "rustrak_issue", ["leads_to", "merged_at", "id"], if_not_exists=True)
    _add_column(
        "rustrak_grouping_key",
        sa.Column(
            "origin_id", ID, comment="The issue that it belonged to before that was merged; NULL where it was not"
        ),
    )


def _add_column(table: str, column: "sa.Column[int]") -> None:
    if column.name not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)
