"""Lines of events, as `rustrak_storage.duck.rows` makes them, read by DuckDB, which does the rest of the work.

A line is an object in JSON, a unit separator, and the payload as it was sent, which so is neither quoted nor parsed.
JSON that stands on one line has no such character, for in strings it is escaped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from rustrak_storage.duck.schema import EVENTS

_OWN = (
    "project",
    "mechanism",
    "environment",
    "release",
    "transaction",
    "url",
    "trace_id",
    "server",
    "sdk_name",
    "sdk_version",
)
_DETAILS = ("type", "message", "culprit", "level", "platform")
_USER = ("user_id", "user_email", "user_name", "user_ip")
_HEAD: Mapping[str, Any] = {
    "number": "BIGINT",
    "event_id": "UUID",
    "project_id": "BIGINT",
    "issue_id": "BIGINT",
    "timestamp": "BIGINT",
    "received_at": "BIGINT",
    "grouping_key": "VARCHAR",
    "payload_bytes": "BIGINT",
    "user": ["VARCHAR"],
    "details": {**dict.fromkeys(_DETAILS, "VARCHAR"), "tags": "MAP(VARCHAR, VARCHAR)"},
    "frames": [
        {"module": "VARCHAR", "filename": "VARCHAR", "function": "VARCHAR", "lineno": "BIGINT", "in_app": "BOOLEAN"}
    ],
    "own": dict.fromkeys((*_OWN, "payload"), "VARCHAR"),
}
_KEY = (
    "CASE WHEN h.user[1] <> '' THEN 'id:' || h.user[1] WHEN h.user[2] <> '' THEN 'email:' || h.user[2] "
    "WHEN h.user[3] <> '' THEN 'username:' || h.user[3] WHEN h.user[4] <> '' THEN 'ip_address:' || h.user[4] END"
)
"""As `rustrak_core.digested.User.identity`."""

_EXPRESSIONS: Mapping[str, str] = {
    "day": "make_timestamp(h.timestamp)::DATE",
    "timestamp": "make_timestamp(h.timestamp)",
    "received_at": "make_timestamp(h.received_at)",
    "user_key": _KEY,
    **{name: f"h.user[{place}]" for place, name in enumerate(_USER, 1)},
    **{name: f"h.details.{name}" for name in _DETAILS},
    **{name: f"h.own.{name}" for name in _OWN},
    "tags": "coalesce(h.details.tags, MAP {}::MAP(VARCHAR, VARCHAR))",
    "payload": "coalesce(payload, h.own.payload)",
}
_LONGEST_AT_LEAST = 2_000_000
_BUFFER_BYTES = 4_000_000


def events_in(file: Path, longest: int) -> str:
    """Return the query for rows of events that a *file* holds in lines, the longest of so many bytes."""
    longest = max(longest + 1, _LONGEST_AT_LEAST)
    path = "'" + str(file).replace("'", "''") + "'"
    columns = ", ".join(f'{_EXPRESSIONS.get(name, f"h.{name}")} AS "{name}"' for name in EVENTS.names)
    return (
        f"SELECT {columns} FROM (SELECT from_json(head, '{orjson.dumps(_HEAD).decode()}') AS h, payload FROM read_csv("
        f"{path}, columns = {{'head': 'VARCHAR', 'payload': 'VARCHAR'}}, delim = chr(31), quote = '', escape = '', "
        f"header = false, auto_detect = false, new_line = '\\n', max_line_size = {longest}, "
        f"buffer_size = {max(_BUFFER_BYTES, longest)}))"
    )
