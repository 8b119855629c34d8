"""Parameters and responses that several routes share, and how a route is put together."""

from typing import Any

from rustrak_http.openapi.schemas import ref

_Part = dict[str, Any]

_WORDS = r"^\s*([^\s\u0000]+(\s+|$)){0,32}$"
_FILLED = r"^[^\u0000]+$"


def _path(name: str, schema: _Part, description: str) -> _Part:
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": description}


def _query(name: str, schema: _Part, description: str) -> _Part:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _enum(*values: str) -> _Part:
    return {"type": "string", "enum": list(values)}


PARAMETERS: dict[str, _Part] = {
    "project_id": _path("project_id", ref("Id"), "A project's number."),
    "issue_id": _path(
        "issue_id",
        {"anyOf": [ref("Id"), ref("ShortId")]},
        "An issue's number, or its short id as in MY-APP-1.",
    ),
    "event_id": _path(
        "event_id",
        {"type": "string", "pattern": "^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$"},
        "An event's id, with or without hyphens.",
    ),
    "token_id": _path("token_id", ref("Id"), "A token's number."),
    "limit": _query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}, "Rows a page."),
    "few": _query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}, "How many at most."),
    "state": _query("state", ref("State"), "Issues in that state only."),
    "sort": _query("sort", _enum("last_seen", "first_seen", "event_count"), "Default: last_seen."),
    "order": _query("order", _enum("desc", "asc"), "Default: desc."),
    "environment": _query(
        "environment", {"type": "string", "pattern": _FILLED, "maxLength": 1000}, "Any event of the issue has it."
    ),
    "release": _query(
        "release", {"type": "string", "pattern": _FILLED, "maxLength": 1000}, "Any event of the issue has it."
    ),
    "level": _query("level", _enum("fatal", "error", "warning", "info", "debug"), "Any event of the issue has it."),
    "q": _query(
        "q",
        {"type": "string", "pattern": _WORDS, "maxLength": 1000},
        "Up to 32 words that are all in type, message or culprit; `key:value` for a tag.",
    ),
    "since": _query("since", {"type": "string", "format": "date"}, "First day; 30 days by default."),
    "until": _query("until", {"type": "string", "format": "date"}, "Last day; today by default."),
    "chosen_project": _query("project_id", ref("Id"), "Chooses where several projects hold the same event id."),
    "sentry_release": _query("sentry_release", {"type": "string"}, "The release that reports belong to."),
    "sentry_environment": _query("sentry_environment", {"type": "string"}, "The environment that they belong to."),
}


def _json(schema: str, description: str) -> _Part:
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


_TEXTS = {
    400: "The request is wrong; the text says where.",
    401: "No valid credentials.",
    404: "What was asked for does not exist.",
    413: "Over a limit.",
    415: "An unknown Content-Encoding, or Content-Type.",
    429: "Overload; pause as both headers say.",
    500: "A fault of ours; the log has the incident's id.",
    503: "The store is away; the text says what to do.",
}
_PAUSE = {
    "Retry-After": {"schema": {"type": "string", "pattern": "^[0-9]+$"}, "required": True},
    "X-Sentry-Rate-Limits": {"schema": {"type": "string"}, "required": True},
}

RESPONSES: dict[str, _Part] = {
    **{str(status): _json("Error", text) for status, text in _TEXTS.items() if status != 429},
    **{f"ingestion_{status}": _json("IngestionError", text) for status, text in _TEXTS.items()},
}
RESPONSES["ingestion_429"]["headers"] = _PAUSE


def parameters(*names: str) -> list[_Part]:
    """Return references to shared parameters."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def refusals(*statuses: int, prefix: str = "") -> dict[str, _Part]:
    """Return references to shared responses by status."""
    return {str(status): {"$ref": f"#/components/responses/{prefix}{status}"} for status in statuses}


def body(schema: str) -> _Part:
    """Return a JSON request body."""
    return {"required": True, "content": {"application/json": {"schema": ref(schema)}}}


def success(status: int, schema: str, description: str) -> dict[str, _Part]:
    """Return the one good response of a route."""
    return {str(status): _json(schema, description)}


def page(schema: str, description: str) -> dict[str, _Part]:
    """Return the response of a list, with its link to what follows.

    ``cursor`` is no parameter of the document: no schema says which texts are cursors, and a client follows the link.
    """
    link = {"schema": {"type": "string"}, "description": 'Where more follows: `<URL>; rel="next"`, to be followed.'}
    return {"200": {**_json(schema, description), "headers": {"Link": link}}}
