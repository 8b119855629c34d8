"""The first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BLOB = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",  # NOPAD: "a" and "a " differ, as they do on the other databases
    "if_not_exists": True,  # MariaDB commits at each step: one that was interrupted is gone through again
}


def upgrade() -> None:
    """Create everything in an empty database."""
    if op.get_bind().dialect.supports_sequences:
        for name, cache in (("project", 1), ("token", 1), ("issue", 1), ("event", 1000)):
            op.execute(sa.schema.CreateSequence(sa.Sequence(f"rustrak_{name}_seq", cache=cache), if_not_exists=True))
    _projects()
    _issues()
    _events()
    _counters()


def _binary(length: int) -> Any:
    return sa.LargeBinary(length).with_variant(mysql.BINARY(length), "mysql", "mariadb")


def _projects() -> None:
    op.create_table(
        "rustrak_state",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_rustrak_state"),
        comment="Facts of the whole store. `started`: 1 once any project or token was created; its row is also a lock",
        **OPTIONS,
    )
    op.create_table(
        "rustrak_project",
        sa.Column("id", ID, sa.Sequence("rustrak_project_seq"), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("slug", sa.String(50), nullable=False),
        sa.Column("sentry_key", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("event_count", sa.BigInteger(), nullable=False),
        sa.Column("issue_count", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False, comment="The number in the newest short id"),
        sa.Column(
            "deleted_at", sa.BigInteger(), comment="A deleted project keeps its row, so that slug and key stay used"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rustrak_project"),
        sa.UniqueConstraint("sentry_key", name="uq_rustrak_project_sentry_key"),
        sa.UniqueConstraint("slug", name="uq_rustrak_project_slug"),
        **OPTIONS,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rustrak_token",
        sa.Column("id", ID, sa.Sequence("rustrak_token_seq"), autoincrement=False, nullable=False),
        sa.Column("sha256", _binary(32), nullable=False),
        sa.Column("prefix", sa.String(4), nullable=False),
        sa.Column("description", sa.String(255)),
        sa.Column("scope", sa.String(255), comment="NULL reaches everything"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_rustrak_token"),
        sa.UniqueConstraint("sha256", name="uq_rustrak_token_sha256"),
        **OPTIONS,
        sqlite_autoincrement=True,
    )
    state = sa.table("rustrak_state", sa.column("name"), sa.column("value"))
    if op.get_bind().execute(sa.select(state).where(state.c.name == "started")).first() is None:
        op.execute(sa.insert(state).values(name="started", value=0))


def _issues() -> None:
    op.create_table(
        "rustrak_issue",
        sa.Column("id", ID, sa.Sequence("rustrak_issue_seq"), autoincrement=False, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="The number in its short id"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("type", sa.String(256), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("culprit", sa.String(200), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("search", LONG_TEXT, nullable=False, comment="Type, message and culprit, case-folded, for LIKE"),
        sa.Column("event_count", sa.BigInteger(), nullable=False),
        sa.Column("user_count", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("latest", _binary(32), nullable=False, comment="Rank (time, received, id) of the latest event"),
        sa.Column("first_release", sa.String(200)),
        sa.Column("first_release_rank", _binary(32)),
        sa.Column("last_release", sa.String(200)),
        sa.Column("last_release_rank", _binary(32)),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.Column("regressed_at", sa.BigInteger()),
        sa.Column("regressed_in", sa.String(200)),
        sa.Column("deleted_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["project_id"], ["rustrak_project.id"], name="fk_rustrak_issue_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_rustrak_issue"),
        sa.UniqueConstraint("project_id", "number", name="uq_rustrak_issue_project_id_number"),
        **OPTIONS,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_rustrak_issue_event_count", "rustrak_issue", ["project_id", "event_count", "id"], if_not_exists=True
    )
    op.create_index(
        "ix_rustrak_issue_first_seen", "rustrak_issue", ["project_id", "first_seen", "id"], if_not_exists=True
    )
    op.create_index(
        "ix_rustrak_issue_last_seen", "rustrak_issue", ["project_id", "last_seen", "id"], if_not_exists=True
    )
    op.create_index(
        "ix_rustrak_issue_state", "rustrak_issue", ["project_id", "state", "last_seen", "id"], if_not_exists=True
    )
    op.create_table(
        "rustrak_grouping_key",
        sa.Column("value", _binary(16), nullable=False),
        sa.Column("project_id", ID, autoincrement=False, nullable=False),
        sa.Column("mechanism", sa.String(64), nullable=False),
        sa.Column("issue_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["rustrak_issue.id"], name="fk_rustrak_grouping_key_issue_id"),
        sa.PrimaryKeyConstraint("value", "project_id", "mechanism", name="pk_rustrak_grouping_key"),
        comment="An issue has many keys; a key leads to one issue of a project",
        **OPTIONS,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_rustrak_grouping_key_issue_id", "rustrak_grouping_key", ["issue_id"], if_not_exists=True)
    op.create_table(
        "rustrak_facet",
        sa.Column("issue_id", ID, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(204), nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issue_id", "key", "value", name="pk_rustrak_facet"),
        comment="So many events of the issue have that value",
        **OPTIONS,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_rustrak_facet_value", "rustrak_facet", ["project_id", "key", "value", "issue_id"], if_not_exists=True
    )
    op.create_table(
        "rustrak_facet_key",
        sa.Column("issue_id", ID, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(204), nullable=False),
        sa.Column("value_count", sa.Integer(), nullable=False, comment="Values kept in rustrak_facet; at most 1,000"),
        sa.Column(
            "other",
            sa.BigInteger(),
            nullable=False,
            comment="Events whose value is not kept, since there were too many",
        ),
        sa.PrimaryKeyConstraint("issue_id", "key", name="pk_rustrak_facet_key"),
        **OPTIONS,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rustrak_issue_user",
        sa.Column("issue_id", ID, autoincrement=False, nullable=False),
        sa.Column("user_hash", _binary(16), nullable=False, comment="BLAKE2b of what makes the user distinct"),
        sa.PrimaryKeyConstraint("issue_id", "user_hash", name="pk_rustrak_issue_user"),
        **OPTIONS,
        sqlite_with_rowid=False,
    )


def _events() -> None:
    op.create_table(
        "rustrak_event",
        sa.Column(
            "id",
            ID,
            sa.Sequence("rustrak_event_seq"),
            autoincrement=False,
            nullable=False,
            comment="Ours, short, and never shown",
        ),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("event_id", _binary(16), nullable=False, comment="The SDK's"),
        sa.Column("issue_id", ID, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("mechanism", sa.String(64), nullable=False),
        sa.Column("grouping_value", _binary(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("type", sa.String(256), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("culprit", sa.String(200), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("environment", sa.String(64)),
        sa.Column("release", sa.String(200)),
        sa.Column("user", sa.Text(), comment="JSON: [id, email, username, ip_address]"),
        sa.Column("tags", LONG_TEXT, comment="JSON: [[key, value], ...]"),
        sa.Column("remote_addr", sa.String(64)),
        sa.Column("sdk_client", sa.String(255)),
        sa.Column("hints", sa.Text(), comment="JSON: [[name, value], ...]"),
        sa.PrimaryKeyConstraint("id", name="pk_rustrak_event"),
        sa.UniqueConstraint("event_id", "project_id", name="uq_rustrak_event_event_id_project_id"),
        **OPTIONS,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_rustrak_event_issue",
        "rustrak_event",
        ["issue_id", "timestamp", "received_at", "event_id"],
        if_not_exists=True,
    )
    op.create_table(
        "rustrak_payload",
        sa.Column("event", ID, autoincrement=False, nullable=False, comment="rustrak_event.id"),
        sa.Column("codec", sa.String(8), nullable=False, comment="raw or zstd"),
        sa.Column("dictionary", sa.Integer(), comment="rustrak_dictionary.id, or NULL for none"),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Bytes as sent"),
        sa.Column("data", BLOB, nullable=False),
        sa.PrimaryKeyConstraint("event", name="pk_rustrak_payload"),
        **OPTIONS,
    )
    op.create_table(
        "rustrak_dictionary",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("data", BLOB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rustrak_dictionary"),
        comment="zstd dictionaries that payloads name; kept as long as any does",
        **OPTIONS,
    )


def _counters() -> None:
    op.create_table(
        "rustrak_counter",
        sa.Column("project_id", ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="Days since 1970-01-01, UTC"),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "day", "category", "outcome", "reason", name="pk_rustrak_counter"),
        **OPTIONS,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rustrak_spool_position",
        sa.Column("lane", sa.String(32), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane", name="pk_rustrak_spool_position"),
        **OPTIONS,
    )
    op.create_table(
        "rustrak_doomed",
        sa.Column("kind", sa.String(8), nullable=False, comment="issue or project"),
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_rustrak_doomed"),
        comment="What was deleted and waits for its rows to be purged",
        **OPTIONS,
    )
