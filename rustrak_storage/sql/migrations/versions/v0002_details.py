"""Details of events move out of columns, into the content that is packed with the payload; dictionaries get checksums.

Every payload is packed anew, its event's details before it; then the columns go. Done again after it was interrupted,
it goes on: a row that was packed anew names another codec.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from rustrak_core.errors import SchemaError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXTS = ("kind", "type", "message", "culprit", "level", "platform")
OPTIONAL = ("tags", "remote_addr", "sdk_client", "hints")
KEPT = (
    "id", "project_id", "event_id", "issue_id", "timestamp", "received_at", "mechanism", "grouping_value",
    "environment", "release", "user",
)  # fmt: skip
ROWS = 500

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EVENT = sa.table("rustrak_event", *map(sa.column, ("id", "event_id", *TEXTS, *OPTIONAL)))
PAYLOAD = sa.table("rustrak_payload", *map(sa.column, ("event", "codec", "dictionary", "size", "data")))
DICTIONARY = sa.table("rustrak_dictionary", *map(sa.column, ("id", "data", "checksum")))
STATE = sa.table("rustrak_state", sa.column("name"), sa.column("value"))

_logger = logging.getLogger("rustrak.migrate")


def upgrade() -> None:
    """Pack all anew, and drop the columns."""
    connection = op.get_bind()
    columns = {column["name"] for column in sa.inspect(connection).get_columns("rustrak_event")}
    if columns >= set(TEXTS):
        _repack(connection)
        _drop_columns(connection)
    if "checksum" not in {column["name"] for column in sa.inspect(connection).get_columns("rustrak_dictionary")}:
        binary = sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")
        op.add_column("rustrak_dictionary", sa.Column("checksum", binary, comment="BLAKE2b of data"))
    _note_dictionaries(connection)
    if connection.dialect.name != "sqlite":
        _comments()


def _repack(connection: sa.Connection) -> None:
    dictionaries = _dictionaries(connection)
    newest = max(dictionaries, default=None)
    digested = None if newest is None else dictionaries[newest].as_digested_dict
    compressor = zstd.ZstdCompressor(level=3, zstd_dict=digested)
    total = connection.execute(sa.select(sa.func.count()).select_from(EVENT)).scalar() or 0
    with context.config.attributes["bar"]("Packing payloads anew", total) as advance:
        for rows in _batches(connection):
            changed: list[dict[str, Any]] = []
            added: list[dict[str, Any]] = []
            for row in rows:
                if row.codec not in {"plain", "packed"}:
                    packed = _packed(row, _payload(row, dictionaries), compressor, newest)
                    (added if row.codec is None else changed).append(packed)
            _write(connection, changed, added)
            advance(len(rows))


def _packed(
    row: sa.Row[Any], payload: bytes | None, compressor: zstd.ZstdCompressor, dictionary: int | None
) -> dict[str, Any]:
    """Return the row of a payload, packed anew with that dictionary."""
    line = _line(row)
    content = line if payload is None else line + b"\n" + payload
    data = compressor.compress(content, compressor.FLUSH_FRAME)
    is_smaller = len(data) < len(content)
    return {
        "number": row.id,
        "codec": "packed" if is_smaller else "plain",
        "dictionary": dictionary if is_smaller else None,
        "size": 0 if payload is None else len(payload),
        "data": data if is_smaller else content,
    }


def _write(connection: sa.Connection, changed: list[dict[str, Any]], added: list[dict[str, Any]]) -> None:
    names = ("codec", "dictionary", "size", "data")
    values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
    if changed:
        connection.execute(sa.update(PAYLOAD).where(PAYLOAD.c.event == sa.bindparam("number")).values(values), changed)
    if added:
        connection.execute(sa.insert(PAYLOAD).values(values | {"event": sa.bindparam("number")}), added)


def _dictionaries(connection: sa.Connection) -> dict[int, zstd.ZstdDict]:
    """Return the dictionaries by number, each of which can be read.

    Raises:
        SchemaError: a payload names one that is missing or damaged; nothing was changed.
    """
    found: dict[int, zstd.ZstdDict] = {}
    for number, data in connection.execute(sa.select(DICTIONARY.c.id, DICTIONARY.c.data)):
        try:
            found[number] = zstd.ZstdDict(bytes(data))
            zstd.ZstdCompressor(zstd_dict=found[number])
        except (zstd.ZstdError, ValueError):
            found.pop(number, None)
    query = sa.select(PAYLOAD.c.dictionary).where(PAYLOAD.c.dictionary.is_not(None)).distinct()
    lost = sorted(set(connection.execute(query).scalars()) - set(found))
    if lost:
        raise SchemaError(
            f"the schema cannot be migrated: dictionary {lost[0]}, with which payloads of events were packed, is "
            "missing or damaged in the table rustrak_dictionary; restore that table from a copy of the database"
        )
    return found


def _batches(connection: sa.Connection) -> Iterator[Sequence[sa.Row[Any]]]:
    """Yield all events with their payloads, a batch at a time."""
    tables = EVENT.outerjoin(PAYLOAD, PAYLOAD.c.event == EVENT.c.id)
    last = 0
    while True:
        query = sa.select(EVENT, PAYLOAD.c.codec, PAYLOAD.c.dictionary, PAYLOAD.c.data).select_from(tables)
        query = query.where(EVENT.c.id > last).order_by(EVENT.c.id).limit(ROWS)
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        yield rows


def _line(row: sa.Row[Any]) -> bytes:
    """Return the details of an event as a line of JSON, without what is not there."""
    fields: dict[str, Any] = {name: getattr(row, name) for name in TEXTS}
    if row.tags is not None:
        fields["tags"] = dict(json.loads(row.tags))
    for name in ("remote_addr", "sdk_client"):
        if getattr(row, name) is not None:
            fields[name] = getattr(row, name)
    if row.hints is not None:
        fields["hints"] = json.loads(row.hints)
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _payload(row: sa.Row[Any], dictionaries: dict[int, zstd.ZstdDict]) -> bytes | None:
    """Return a payload as it was sent; None where it was shed, or was damaged and could not be read before either."""
    if row.codec is None or row.codec == "raw":
        return None if row.codec is None else bytes(row.data)
    try:
        return zstd.decompress(bytes(row.data), zstd_dict=dictionaries.get(row.dictionary))
    except zstd.ZstdError:
        _logger.warning("payload_lost event=%s reason=damaged", bytes(row.event_id).hex())
        return None


def _drop_columns(connection: sa.Connection) -> None:
    """Drop the columns that are in contents now, in one step, which is all or nothing on every database."""
    if connection.dialect.name == "sqlite":
        _build_anew(connection)
        return
    quote = connection.dialect.identifier_preparer.quote
    drops = ", ".join(f"DROP COLUMN {quote(name)}" for name in (*TEXTS, *OPTIONAL))
    op.execute(f"ALTER TABLE rustrak_event {drops}")


def _build_anew(connection: sa.Connection) -> None:
    """Copy the table of events without the columns: SQLite would write all of it once for each."""
    op.create_table(
        "rustrak_event_new",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("event_id", sa.LargeBinary(16), nullable=False),
        sa.Column("issue_id", ID, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("mechanism", sa.String(64), nullable=False),
        sa.Column("grouping_value", sa.LargeBinary(16), nullable=False),
        sa.Column("environment", sa.String(64)),
        sa.Column("release", sa.String(200)),
        sa.Column("user", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_rustrak_event"),
        sa.UniqueConstraint("event_id", "project_id", name="uq_rustrak_event_event_id_project_id"),
        sqlite_autoincrement=True,
    )
    columns = ", ".join(f'"{name}"' for name in KEPT)
    op.execute(f"INSERT INTO rustrak_event_new ({columns}) SELECT {columns} FROM rustrak_event ORDER BY id")  # noqa: S608 - names of ours
    # The highest number that was ever used, for none is used again.
    last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'rustrak_event'").scalar()
    op.drop_table("rustrak_event")
    op.rename_table("rustrak_event_new", "rustrak_event")
    op.create_index(
        "ix_rustrak_event_issue", "rustrak_event", ["issue_id", "timestamp", "received_at", "event_id"], unique=False
    )
    if last is not None:
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'rustrak_event'")
        connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('rustrak_event', ?)", (last,))


def _note_dictionaries(connection: sa.Connection) -> None:
    """Note what each dictionary holds, and how many there are, so that one is missed where it is gone."""
    rows = connection.execute(sa.select(DICTIONARY.c.id, DICTIONARY.c.data)).all()
    for number, data in rows:
        checksum = hashlib.blake2b(bytes(data), digest_size=16).digest()
        connection.execute(sa.update(DICTIONARY).where(DICTIONARY.c.id == number).values(checksum=checksum))
    if rows:
        connection.execute(sa.delete(STATE).where(STATE.c.name == "dictionaries"))
        connection.execute(sa.insert(STATE).values(name="dictionaries", value=max(row.id for row in rows)))


def _comments() -> None:
    blob = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
    for name, type_, comment, before in (
        ("codec", sa.String(8), "plain, or packed by zstd", "raw or zstd"),
        ("size", sa.BigInteger(), "Bytes as sent; 0 where they were shed", "Bytes as sent"),
        ("data", blob, "A line of JSON with what no column holds, then the payload", None),
    ):
        op.alter_column(
            "rustrak_payload",
            name,
            comment=comment,
            existing_type=type_,
            existing_nullable=False,
            existing_comment=before,
        )
