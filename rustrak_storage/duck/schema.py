"""What a dataset holds: tables, their columns, and what each says. A change of it is a new version with a note.

Times are UTC, to the microsecond, in columns of type TIMESTAMP. ``day`` is the UTC date of an event's time.
"""

from collections.abc import Sequence

import attrs

VERSION = 2
FORMAT = "rustrak-dataset"
NOTES = {
    1: "The first one.",
    2: "`issues.keys`, `projects.rules` and `projects.mechanism`, so that `rustrak regroup --dry-run` can be asked.",
}
"""What each version of the schema changed."""

FRAME = "STRUCT(module VARCHAR, filename VARCHAR, function VARCHAR, lineno BIGINT, in_app BOOLEAN)"
KEY = "STRUCT(mechanism VARCHAR, value VARCHAR, origin_id BIGINT)"


_PACKED = {"payload": " USING COMPRESSION zstd"}
"""What DuckDB would choose itself takes four times the room for payloads, and three times as long."""


@attrs.frozen
class Column:
    """A column: its name, DuckDB's type of it, what it says, and the version of the schema that brought it."""

    name: str
    type: str
    text: str
    since: int = 1


@attrs.frozen
class Table:
    """A table, or a view that is worked out when it is asked for."""

    name: str
    text: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The columns' names, in their order."""
        return [column.name for column in self.columns]

    def of_version(self, version: int) -> "Table":
        """Return the table as a dataset of that *version* has it."""
        return attrs.evolve(self, columns=tuple(column for column in self.columns if column.since <= version))

    def declaration(self) -> str:
        """Return the columns as ``CREATE TABLE`` takes them."""
        return ", ".join(f'"{column.name}" {column.type}{_PACKED.get(column.name, "")}' for column in self.columns)


EVENTS = Table(
    "events",
    "A row an event.",
    (
        Column("number", "BIGINT", "The store's own number; events have it in the order in which they came, about"),
        Column("event_id", "UUID", "The SDK's id; unique within a project"),
        Column("project_id", "BIGINT", "The project's number"),
        Column("project", "VARCHAR", "The project's slug"),
        Column("issue_id", "BIGINT", "The issue to which it belongs: `issues.id`"),
        Column("day", "DATE", "The date of `timestamp`, in UTC; Parquet files are parted by it"),
        Column("timestamp", "TIMESTAMP", "When it happened, by the SDK's clock; at most a minute after `received_at`"),
        Column("received_at", "TIMESTAMP", "When it was received"),
        Column("type", "VARCHAR", "The exception's type, else `Message` or `CSP`"),
        Column("message", "VARCHAR", "The exception's value, or the message; empty where there is none"),
        Column("culprit", "VARCHAR", "The transaction, else where it happened"),
        Column("level", "VARCHAR", "fatal, error, warning, info or debug"),
        Column("platform", "VARCHAR", "As in `python`"),
        Column("environment", "VARCHAR", "As in `production`; NULL where the SDK sent none"),
        Column("release", "VARCHAR", "NULL where the SDK sent none"),
        Column("transaction", "VARCHAR", "As in `/checkout`; NULL where the SDK sent none"),
        Column("url", "VARCHAR", "Of the request in which it happened, at most 2,000 characters"),
        Column("trace_id", "VARCHAR", "Of the trace in which it happened: 32 hex digits"),
        Column("user_key", "VARCHAR", "What tells one user from another, as in `id:42` or `email:ada@example.com`"),
        Column("user_id", "VARCHAR", "The user's id"),
        Column("user_email", "VARCHAR", "The user's email"),
        Column("user_name", "VARCHAR", "The user's name"),
        Column("user_ip", "VARCHAR", "The user's IP address"),
        Column("server", "VARCHAR", "`server_name` of the event"),
        Column("sdk_name", "VARCHAR", "As in `sentry.python`"),
        Column("sdk_version", "VARCHAR", "As in `2.75.0`"),
        Column("mechanism", "VARCHAR", "The grouping mechanism by which it was filed, as in `anchor@1`"),
        Column("grouping_key", "VARCHAR", "The grouping key's 32 hex digits"),
        Column("payload_bytes", "BIGINT", "Bytes of the payload as sent; 0 where it was shed"),
        Column("tags", "MAP(VARCHAR, VARCHAR)", "Tags, each key once, as lists filter by them"),
        Column("frames", f"{FRAME}[]", "Frames of the exception that names the event, the newest call last"),
        Column("payload", "VARCHAR", "The payload as JSON, for `payload->>'$.extra.x'`; NULL where it was shed"),
    ),
)
ISSUES = Table(
    "issues",
    "A row an issue, as it was when the dataset was exported.",
    (
        Column("id", "BIGINT", "The issue's number"),
        Column("short_id", "VARCHAR", "As in `MY-APP-1`"),
        Column("project_id", "BIGINT", "The project's number"),
        Column("project", "VARCHAR", "The project's slug"),
        Column("type", "VARCHAR", "Of the latest event"),
        Column("message", "VARCHAR", "Of the latest event"),
        Column("culprit", "VARCHAR", "Of the latest event"),
        Column("level", "VARCHAR", "Of the latest event"),
        Column("platform", "VARCHAR", "Of the latest event"),
        Column("state", "VARCHAR", "open, resolved or muted"),
        Column("event_count", "BIGINT", "Events so far, those that the dataset leaves out among them"),
        Column("user_count", "BIGINT", "Distinct users so far"),
        Column("first_seen", "TIMESTAMP", "Time of the earliest event"),
        Column("last_seen", "TIMESTAMP", "Time of the latest event"),
        Column("first_release", "VARCHAR", "Of the earliest event that names one"),
        Column("last_release", "VARCHAR", "Of the latest event that names one"),
        Column("resolved_at", "TIMESTAMP", "NULL unless the state is resolved"),
        Column("regressed_at", "TIMESTAMP", "When an event last reopened it; NULL where none did"),
        Column("regressed_in", "VARCHAR", "The release of that event"),
        Column(
            "keys",
            f"{KEY}[]",
            "Grouping keys that lead to it; `origin_id` is the issue whose one was before issues were merged, or NULL",
            2,
        ),
    ),
)
PROJECTS = Table(
    "projects",
    "A row a project, as it was when the dataset was exported.",
    (
        Column("id", "BIGINT", "The project's number"),
        Column("slug", "VARCHAR", "As in `my-app`"),
        Column("name", "VARCHAR", "As in `My App`"),
        Column("created_at", "TIMESTAMP", "When it was created"),
        Column("event_count", "BIGINT", "Events so far"),
        Column("issue_count", "BIGINT", "Issues that exist"),
        Column("rules", "VARCHAR", "Its rules on grouping, as TOML; empty where it has none", 2),
        Column("mechanism", "VARCHAR", "The mechanism by which new events are grouped, as in `anchor@1`", 2),
    ),
)
TAG_DAYS = Table(
    "tag_days",
    "Tags, and environment, release and level, counted by day and issue, so that questions read no events.",
    (
        Column("day", "DATE", "The day of the events"),
        Column("project_id", "BIGINT", "The project's number"),
        Column("issue_id", "BIGINT", "The issue: `issues.id`"),
        Column("key", "VARCHAR", "The tag's key"),
        Column("value", "VARCHAR", "The tag's value"),
        Column("events", "BIGINT", "How many events of that day and issue have it"),
    ),
)
ABOUT = Table(
    "about",
    "One row: what this dataset is.",
    (
        Column("format", "VARCHAR", f"`{FORMAT}`"),
        Column("version", "INTEGER", "Of this schema"),
        Column("exported_at", "TIMESTAMP", "When it was exported last"),
        Column("watermark", "BIGINT", "The highest number that events had then; the next export goes on behind it"),
        Column("project_ids", "BIGINT[]", "The projects that were chosen; NULL for all"),
        Column("since", "TIMESTAMP", "The first moment that was chosen; NULL for no bound"),
        Column("until", "TIMESTAMP", "The moment behind the last that was chosen; NULL for no bound"),
    ),
)
BREADCRUMBS = Table(
    "breadcrumbs",
    "A row a breadcrumb, worked out of the payloads of those events that are asked for.",
    (
        Column("number", "BIGINT", "The event: `events.number`"),
        Column("event_id", "UUID", "The event's id"),
        Column("project_id", "BIGINT", "The project's number"),
        Column("issue_id", "BIGINT", "The event's issue"),
        Column("day", "DATE", "The event's day"),
        Column("position", "BIGINT", "From 1, the oldest, on"),
        Column("timestamp", "VARCHAR", "As the SDK wrote it: RFC 3339, or seconds since 1970"),
        Column("type", "VARCHAR", "As in `http`"),
        Column("category", "VARCHAR", "As in `django.db`"),
        Column("level", "VARCHAR", "As in `info`"),
        Column("message", "VARCHAR", "What it says"),
        Column("data", "VARCHAR", "What came with it, as JSON"),
    ),
)
STORED = (EVENTS, TAG_DAYS, ISSUES, PROJECTS)
TABLES = (EVENTS, ISSUES, PROJECTS, TAG_DAYS, BREADCRUMBS, ABOUT)

BREADCRUMBS_VIEW = """
CREATE VIEW breadcrumbs AS
WITH sent AS (
    SELECT number, event_id, project_id, issue_id, day, json_extract(payload, '$.breadcrumbs') AS container
    FROM events
    WHERE payload IS NOT NULL
),
listed AS (
    SELECT number, event_id, project_id, issue_id, day,
        CASE json_type(container) WHEN 'ARRAY' THEN container
            WHEN 'OBJECT' THEN json_extract(container, '$.values') END AS entries
    FROM sent
),
apart AS (
    SELECT number, event_id, project_id, issue_id, day,
        unnest(json_extract(entries, '$[*]')) AS entry,
        generate_subscripts(json_extract(entries, '$[*]'), 1) AS position
    FROM listed
    WHERE json_type(entries) = 'ARRAY'
)
SELECT number, event_id, project_id, issue_id, day, position,
    entry->>'$.timestamp' AS timestamp, entry->>'$.type' AS type, entry->>'$.category' AS category,
    entry->>'$.level' AS level, entry->>'$.message' AS message, CAST(entry->'$.data' AS VARCHAR) AS data
FROM apart
WHERE json_type(entry) = 'OBJECT'
"""

TAG_DAYS_OF = """
SELECT day, project_id, issue_id, key, value, count(*) AS events
FROM (
    SELECT day, project_id, issue_id, unnest(map_keys(tags)) AS key, unnest(map_values(tags)) AS value,
        false AS is_own
    FROM {events}
    UNION ALL
    SELECT day, project_id, issue_id, unnest(['environment', 'release', 'level']),
        unnest([environment, release, level]), true
    FROM {events}
)
WHERE value IS NOT NULL AND (is_own OR key NOT IN ('environment', 'release', 'level'))
GROUP BY day, project_id, issue_id, key, value
"""
"""How `tag_days` follows from events. To put a map together for each event would take six times as long."""


def columns_sql(columns: Sequence[Column], *, typed: dict[str, str] | None = None) -> str:
    """Return columns and types as ``read_json`` takes them; *typed* has other types for some."""
    types = typed or {}
    return "{" + ", ".join(f"'{c.name}': '{types.get(c.name, c.type)}'" for c in columns) + "}"
