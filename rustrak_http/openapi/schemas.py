"""Schemas of what goes in and out (API.md). Objects that are answered may gain keys, so they are left open."""

from typing import Any

from rustrak_core.accepted import EVENT_OUTCOMES
from rustrak_core.grouping import MECHANISMS
from rustrak_core.grouping.rules_file import FILE_MAX_BYTES
from rustrak_core.issue import MERGED_MAX

_Schema = dict[str, Any]

_BLANK = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # what trimming takes
_NAME = rf"^[{_BLANK}]*[^{_BLANK}\u0000](?:[^\u0000]{{0,253}}[^{_BLANK}\u0000])?[{_BLANK}]*$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,5}[1-9])?Z$"


def ref(name: str) -> _Schema:
    """Return a reference to the schema *name*."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, _Schema], *, optional: tuple[str, ...] = ()) -> _Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _body(properties: dict[str, _Schema], *, optional: tuple[str, ...] = ()) -> _Schema:
    return {**_object(properties, optional=optional), "additionalProperties": False}


def _list_of(name: str) -> _Schema:
    cursor = {"type": "string", "description": "Present where more follows; give it as `?cursor=` to this same list."}
    data = {"type": "array", "items": ref(name), "maxItems": 100}
    return _object({"data": data, "next_cursor": cursor}, optional=("next_cursor",))


def _or_null(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT: _Schema = {"type": "string"}
_TEXT_OR_NULL: _Schema = {"type": ["string", "null"]}
_COUNT: _Schema = {"type": "integer", "minimum": 0}
_SHARE: _Schema = {"type": "number", "minimum": 0, "maximum": 1}

SCHEMAS: dict[str, _Schema] = {
    "Id": {"type": "integer", "minimum": 1, "maximum": 2**53 - 1},
    "Time": {"type": "string", "pattern": _TIME, "description": "RFC 3339 in UTC, up to six fraction digits."},
    "ShortId": {"type": "string", "pattern": "^[A-Z0-9]+(-[A-Z0-9]+)*-[1-9][0-9]{0,17}$"},
    "EventId": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    "State": {"type": "string", "enum": ["open", "resolved", "muted"]},
    "Error": _object({"error": {"type": "string", "description": "What is wrong, and how to mend it."}}),
    "IngestionError": _object({"error": _TEXT, "detail": _TEXT}),
    "Project": _object(
        {
            "id": ref("Id"),
            "name": {"type": "string", "minLength": 1, "maxLength": 255},
            "slug": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 50},
            "sentry_key": {"type": "string", "format": "uuid"},
            "created_at": ref("Time"),
            "dsn": {"type": "string", "description": "What an SDK is given."},
            "event_count": _COUNT,
            "issue_count": _COUNT,
        }
    ),
    "ProjectBody": _body(
        {"name": {"type": "string", "pattern": _NAME, "description": "1 to 255 characters once trimmed."}}
    ),
    "Projects": _list_of("Project"),
    "Grouping": _object(
        {
            "project_id": ref("Id"),
            "mechanism": {"type": "string", "description": "In force now."},
            "pinned": {"type": ["string", "null"], "description": "The mechanism that the rules name."},
            "used": {"type": "array", "items": _TEXT, "description": "Mechanisms, in the order of their first use."},
            "rules": {"type": "string", "description": "The text of the rules, as it was set."},
            "rules_count": {**_COUNT, "description": "Rules in force."},
            "changed_at": _or_null(ref("Time")),
            "problem": {"type": ["string", "null"], "description": "Why the rules are not in force, if they are not."},
        }
    ),
    "RulesBody": _body(
        {
            "rules": {
                "type": "string",
                "maxLength": FILE_MAX_BYTES,
                "description": "TOML, at most 64 KiB and 200 rules; what is none is refused with its line.",
            }
        }
    ),
    "PinBody": _body({"mechanism": {"enum": [*MECHANISMS, None], "description": "null follows the default."}}),
    "Issue": _object(
        {
            "id": ref("Id"),
            "short_id": ref("ShortId"),
            "type": {"type": "string", "minLength": 1},
            "message": _TEXT,
            "state": ref("State"),
            "event_count": _COUNT,
            "first_seen": ref("Time"),
            "last_seen": ref("Time"),
            "project_id": ref("Id"),
            "level": _TEXT,
            "platform": _TEXT,
            "culprit": _TEXT,
            "user_count": _COUNT,
            "first_release": _TEXT_OR_NULL,
            "last_release": _TEXT_OR_NULL,
            "resolved_at": _or_null(ref("Time")),
            "regressed_at": _or_null(ref("Time")),
            "regressed_in": _TEXT_OR_NULL,
            "merged": {
                "type": "array",
                "maxItems": MERGED_MAX,
                "items": ref("MergedIssue"),
                "description": "What was merged into it, the last one first.",
            },
        }
    ),
    "MergedIssue": _object({"id": ref("Id"), "short_id": ref("ShortId"), "merged_at": ref("Time")}),
    "MergeBody": _body(
        {
            "issue_ids": {
                "type": "array",
                "minItems": 1,
                "maxItems": MERGED_MAX,
                "items": {"anyOf": [ref("Id"), ref("ShortId")]},
            }
        }
    ),
    "IssuesBack": _object({"data": {"type": "array", "items": ref("Issue")}}),
    "SimilarIssues": _object({"data": {"type": "array", "maxItems": 100, "items": ref("SimilarIssue")}}),
    "SimilarIssue": _object(
        {"issue": ref("Issue"), "score": _SHARE, "why": {"type": "array", "maxItems": 5, "items": ref("SharedTerm")}}
    ),
    "SharedTerm": _object(
        {
            "kind": {"type": "string", "enum": ["type", "word", "function", "module", "frame", "transaction"]},
            "value": _TEXT,
            "share": {**_SHARE, "description": "How much of what both have in common it is."},
            "issues": {"type": "integer", "minimum": 2, "description": "How many issues of the project hold it."},
            "text": {"type": "string", "description": "It in words."},
        }
    ),
    "IssueBody": _body({"state": ref("State")}),
    "Issues": _list_of("Issue"),
    "User": _object(dict.fromkeys(("id", "email", "username", "ip_address"), _TEXT_OR_NULL)),
    "EventSummary": _object(
        {
            "id": ref("EventId"),
            "timestamp": ref("Time"),
            "environment": _TEXT_OR_NULL,
            "release": _TEXT_OR_NULL,
            "user": _or_null(ref("User")),
        }
    ),
    "EventSummaries": _list_of("EventSummary"),
    "Event": {
        **_object({"id": ref("EventId"), "issue_id": ref("Id"), "project_id": ref("Id"), "received_at": ref("Time")}),
        "description": "The SDK's payload in one form, and `grouping`: why it is in this issue.",
    },
    "Token": _object(
        {
            "id": ref("Id"),
            "token": {"type": "string", "description": "Four digits and a mask; all 40 digits only when made."},
            "description": _TEXT_OR_NULL,
            "created_at": ref("Time"),
            "last_used_at": _or_null(ref("Time")),
        }
    ),
    "TokenBody": _body(
        {"description": {"type": ["string", "null"], "maxLength": 255, "pattern": r"^[^\u0000]*$"}},
        optional=("description",),
    ),
    "Tokens": _list_of("Token"),
    "Day": _object(
        {
            "day": {"type": "string", "format": "date"},
            **dict.fromkeys(("received", *EVENT_OUTCOMES, "queued"), _COUNT),
            "sdk_dropped": {"type": "object", "additionalProperties": _COUNT},
        }
    ),
    "Stats": _object({"data": {"type": "array", "items": ref("Day")}}),
    "Live": _object({"status": {"const": "ok"}}),
    "Ready": _object({"status": {"const": "ok"}, "database": {"const": "connected"}}),
    "NotReady": _object({"error": _TEXT, "status": {"const": "unavailable"}, "database": _TEXT}),
    "Accepted": _object({"id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}, optional=("id",)),
    "Nothing": {"type": "object", "maxProperties": 0},
}
