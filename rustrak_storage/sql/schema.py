"""The tables, as the newest migration leaves them (a test compares the two).

What is dear to change later stands here from the start: ids come from sequences (AUTOINCREMENT on SQLite) and are never
used again; an event is keyed by project and the 16 bytes of its id; times are 64-bit microseconds since 1970 in UTC;
texts compare by their bytes on every database. All names begin with ``rustrak_``, so that a host application's
database can be shared.

What only MariaDB has to be told of tables (their engine and how texts compare) stands in the migrations alone: to say
it here would load all of SQLAlchemy's dialect of it, whatever the database.
"""

from typing import Any

from sqlalchemy import (
    BINARY,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)

VERSION_TABLE = "rustrak_schema_version"
LOCK_TABLE = "rustrak_migration_lock"
"""Whose row a process locks that migrates PostgreSQL; made before there is any schema."""

# SQLite counts up by itself only in a column that is spelled INTEGER, which holds 64 bits there all the same.
Id = BigInteger().with_variant(Integer(), "sqlite")
Micros = BigInteger()


class _LongBlob(LargeBinary):
    """MariaDB's LONGBLOB; SQLAlchemy's own would load all of its dialect, which few need."""

    __visit_name__ = "LONGBLOB"


class _MediumText(Text):
    """MariaDB's MEDIUMTEXT, likewise."""

    __visit_name__ = "MEDIUMTEXT"


def binary(length: int) -> Any:
    """Return the type of a column of exactly *length* bytes that can be a key."""
    return LargeBinary(length).with_variant(BINARY(length), "mysql", "mariadb")


Blob = LargeBinary().with_variant(_LongBlob(), "mysql", "mariadb")
LongText = Text().with_variant(_MediumText(), "mysql", "mariadb")


def _sequence(name: str) -> Sequence:
    # Without a cache, a restart of the database leaves no hole of a thousand numbers in ids that people read.
    return Sequence(f"rustrak_{name}_seq", cache=1, metadata=metadata)


project_seq = _sequence("project")
token_seq = _sequence("token")
issue_seq = _sequence("issue")
event_seq = Sequence("rustrak_event_seq", cache=1000, metadata=metadata)

# Beside `started` there are `grouping`, which counts how often rules were set, `dictionaries`, the highest number of
# one, `training`, when a process began to train one, and `refiled/7`, which is another number each time that events of
# project 7 are filed anew.
state = Table(
    "rustrak_state",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="Facts of the whole store. `started`: 1 once any project or token was created; its row is also a lock",
)

project = Table(
    "rustrak_project",
    metadata,
    Column("id", Id, project_seq, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False),
    Column("slug", String(50), nullable=False, unique=True),
    Column("sentry_key", String(32), nullable=False, unique=True),
    Column("created_at", Micros, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("issue_count", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False, comment="The number in the newest short id"),
    Column("deleted_at", Micros, comment="A deleted project keeps its row, so that slug and key stay used"),
    sqlite_autoincrement=True,
)

token = Table(
    "rustrak_token",
    metadata,
    Column("id", Id, token_seq, primary_key=True, autoincrement=False),
    Column("sha256", binary(32), nullable=False, unique=True),
    Column("prefix", String(4), nullable=False),
    Column("description", String(255)),
    Column("scope", String(255), comment="NULL reaches everything"),
    Column("created_at", Micros, nullable=False),
    Column("last_used_at", Micros),
    sqlite_autoincrement=True,
)

issue = Table(
    "rustrak_issue",
    metadata,
    Column("id", Id, issue_seq, primary_key=True, autoincrement=False),
    Column("project_id", Id, ForeignKey("rustrak_project.id"), nullable=False),
    Column("number", BigInteger, nullable=False, comment="The number in its short id"),
    Column("state", String(16), nullable=False),
    Column("type", String(256), nullable=False),
    Column("message", Text, nullable=False),
    Column("culprit", String(200), nullable=False),
    Column("level", String(16), nullable=False),
    Column("platform", String(64), nullable=False),
    Column("search", LongText, nullable=False, comment="Type, message and culprit, case-folded, for LIKE"),
    Column("event_count", BigInteger, nullable=False),
    Column("user_count", BigInteger, nullable=False),
    Column("first_seen", Micros, nullable=False),
    Column("last_seen", Micros, nullable=False),
    Column("latest", binary(32), nullable=False, comment="Rank (time, received, id) of the latest event"),
    Column("first_release", String(200)),
    Column("first_release_rank", binary(32)),
    Column("last_release", String(200)),
    Column("last_release_rank", binary(32)),
    Column("resolved_at", Micros),
    Column("regressed_at", Micros),
    Column("regressed_in", String(200)),
    Column("deleted_at", Micros),
    Column("merged_into", Id, comment="The issue that it was merged into, by whoever did it"),
    Column("merged_at", Micros),
    Column("leads_to", Id, comment="The issue that has its keys and events: merged_into, or what that leads to"),
    Column("era", BigInteger, nullable=False, server_default="0", comment="How often it lost events to another issue"),
    UniqueConstraint("project_id", "number"),
    Index("ix_rustrak_issue_last_seen", "project_id", "last_seen", "id"),
    Index("ix_rustrak_issue_first_seen", "project_id", "first_seen", "id"),
    Index("ix_rustrak_issue_event_count", "project_id", "event_count", "id"),
    Index("ix_rustrak_issue_state", "project_id", "state", "last_seen", "id"),
    Index("ix_rustrak_issue_leads_to", "leads_to", "merged_at", "id"),
    sqlite_autoincrement=True,
)

grouping_key = Table(
    "rustrak_grouping_key",
    metadata,
    Column("value", binary(16), primary_key=True),
    Column("project_id", Id, primary_key=True, autoincrement=False),
    Column("mechanism", String(64), primary_key=True),
    Column("issue_id", Id, ForeignKey("rustrak_issue.id"), nullable=False, index=True),
    Column("origin_id", Id, comment="The issue that it belonged to before that was merged; NULL where it was not"),
    sqlite_with_rowid=False,
    comment="An issue has many keys; a key leads to one issue of a project",
)

grouping = Table(
    "rustrak_grouping",
    metadata,
    Column("project_id", Id, primary_key=True, autoincrement=False),
    Column("rules", LongText, nullable=False, comment="TOML, to the letter"),
    Column("used", Text, nullable=False, comment="JSON: mechanisms, in the order of their first use"),
    Column("changed_at", Micros, comment="When rules were last set"),
    comment="How a project wants its events grouped; without a row, it never said",
)

event = Table(
    "rustrak_event",
    metadata,
    Column("id", Id, event_seq, primary_key=True, autoincrement=False, comment="Ours, short, and never shown"),
    Column("project_id", Id, nullable=False),
    Column("event_id", binary(16), nullable=False, comment="The SDK's"),
    Column("issue_id", Id, nullable=False),
    Column("timestamp", Micros, nullable=False),
    Column("received_at", Micros, nullable=False),
    Column("mechanism", String(64), nullable=False),
    Column("grouping_value", binary(16), nullable=False),
    Column("environment", String(64)),
    Column("release", String(200)),
    Column("user", Text, comment="JSON: [id, email, username, ip_address]"),
    # By the event's id first, since the API asks for it without naming a project.
    UniqueConstraint("event_id", "project_id"),
    Index("ix_rustrak_event_issue", "issue_id", "timestamp", "received_at", "event_id"),
    sqlite_autoincrement=True,
)

payload = Table(
    "rustrak_payload",
    metadata,
    Column("event", Id, primary_key=True, autoincrement=False, comment="rustrak_event.id"),
    Column("codec", String(8), nullable=False, comment="plain, or packed by zstd"),
    Column("dictionary", Integer, comment="rustrak_dictionary.id, or NULL for none"),
    Column("size", BigInteger, nullable=False, comment="Bytes as sent; 0 where they were shed"),
    Column("data", Blob, nullable=False, comment="A line of JSON with what no column holds, then the payload"),
)

dictionary = Table(
    "rustrak_dictionary",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("created_at", Micros, nullable=False),
    Column("data", Blob, nullable=False),
    Column("checksum", binary(16), comment="BLAKE2b of data"),
    comment="zstd dictionaries that payloads name; kept as long as any does",
)

facet = Table(
    "rustrak_facet",
    metadata,
    Column("issue_id", Id, primary_key=True, autoincrement=False),
    Column("key", String(204), primary_key=True),
    Column("value", String(200), primary_key=True),
    Column("project_id", Id, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index("ix_rustrak_facet_value", "project_id", "key", "value", "issue_id"),
    sqlite_with_rowid=False,
    comment="So many events of the issue have that value",
)

facet_key = Table(
    "rustrak_facet_key",
    metadata,
    Column("issue_id", Id, primary_key=True, autoincrement=False),
    Column("key", String(204), primary_key=True),
    Column("value_count", Integer, nullable=False, comment="Values kept in rustrak_facet; at most 1,000"),
    Column("other", BigInteger, nullable=False, comment="Events whose value is not kept, since there were too many"),
    sqlite_with_rowid=False,
)

issue_terms = Table(
    "rustrak_issue_terms",
    metadata,
    Column("issue_id", Id, primary_key=True, autoincrement=False),
    Column("project_id", Id, nullable=False, index=True),
    Column("terms", Text, nullable=False, comment="JSON: [[kind, text], ...], by which similar issues are found"),
)

term = Table(
    "rustrak_term",
    metadata,
    Column("project_id", Id, primary_key=True, autoincrement=False),
    Column("term", binary(8), primary_key=True, comment="BLAKE2b of a term's kind and text"),
    Column("issue_id", Id, primary_key=True, autoincrement=False, index=True),
    sqlite_with_rowid=False,
    comment="That issue holds that term",
)

issue_user = Table(
    "rustrak_issue_user",
    metadata,
    Column("issue_id", Id, primary_key=True, autoincrement=False),
    Column("user_hash", binary(16), primary_key=True, comment="BLAKE2b of what makes the user distinct"),
    sqlite_with_rowid=False,
)

counter = Table(
    "rustrak_counter",
    metadata,
    Column("project_id", Id, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False, comment="Days since 1970-01-01, UTC"),
    Column("category", String(64), primary_key=True),
    Column("outcome", String(32), primary_key=True),
    Column("reason", String(200), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

position = Table(
    "rustrak_spool_position",
    metadata,
    Column("lane", String(32), primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
)

doomed = Table(
    "rustrak_doomed",
    metadata,
    Column("kind", String(8), primary_key=True, comment="issue or project"),
    Column("id", Id, primary_key=True, autoincrement=False),
    comment="What was deleted and waits for its rows to be purged",
)

unsettled = Table(
    "rustrak_unsettled",
    metadata,
    Column("issue_id", Id, primary_key=True, autoincrement=False),
    Column("project_id", Id, nullable=False, index=True),
    comment="Issues whose events were moved, and that do not yet say of them what is right",
)

backfill = Table(
    "rustrak_backfill",
    metadata,
    Column("project_id", Id, primary_key=True, autoincrement=False),
    Column("mechanism", String(64), nullable=False, comment="Whose keys are worked out"),
    Column("stage", String(16), nullable=False, comment="reading, attaching or done"),
    Column("upto", Id, nullable=False, comment="The last rustrak_event.id that was read"),
    comment="How far the newer keys of a project's issues have been worked out from stored events",
)

newer_key = Table(
    "rustrak_newer_key",
    metadata,
    Column("project_id", Id, primary_key=True, autoincrement=False),
    Column("value", binary(16), primary_key=True),
    Column("mechanism", String(64), primary_key=True),
    Column("issue_id", Id, comment="NULL where events of several issues have it"),
    sqlite_with_rowid=False,
    comment="Newer keys that were worked out and are yet to be attached",
)

TABLES = tuple(metadata.tables)
