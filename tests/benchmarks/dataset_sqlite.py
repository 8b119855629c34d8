"""The events of a dataset that was made, in a SQLite store, and the stock questions in SQL on its columns.

What the store's columns leave out, only its packed payloads say: tags of single events, frames, SDKs and transactions.
Questions about these cannot be asked in SQL there, and are not compared.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

from rustrak_storage.duck import Dataset
from rustrak_storage.factory import open_store

_PACKED_BYTES = 600
"""What a packed payload takes, so that tables are as large as those of a server."""

_BATCH = 20_000
_WHEN = "e.timestamp >= :since AND e.timestamp < :until"
QUESTIONS = {
    "top-issues": (
        "SELECT e.issue_id, count(*) AS events, count(DISTINCT e.user), max(e.timestamp) FROM rustrak_event AS e "
        f"WHERE {_WHEN} GROUP BY e.issue_id ORDER BY events DESC LIMIT 20"
    ),
    "heatmap": (
        "SELECT e.timestamp / 86400000000 % 7 AS weekday, e.timestamp / 3600000000 % 24 AS hour, count(*) "
        f"FROM rustrak_event AS e WHERE {_WHEN} GROUP BY weekday, hour"
    ),
    "error-rates": (
        "SELECT e.project_id, e.environment, count(*) AS events, count(DISTINCT e.issue_id), count(DISTINCT e.user) "
        f"FROM rustrak_event AS e WHERE {_WHEN} GROUP BY e.project_id, e.environment ORDER BY events DESC LIMIT 20"
    ),
    "types": (
        "SELECT i.type, count(*) AS events, count(DISTINCT e.issue_id), "
        "sum(e.timestamp >= :until - 604800000000) AS week FROM rustrak_event AS e "
        f"JOIN rustrak_issue AS i ON i.id = e.issue_id WHERE {_WHEN} GROUP BY e.project_id, i.type "
        "ORDER BY week DESC LIMIT 20"
    ),
    "bytes": (
        "SELECT e.issue_id, count(*), sum(p.size) AS bytes FROM rustrak_event AS e "
        f"JOIN rustrak_payload AS p ON p.event = e.id WHERE {_WHEN} GROUP BY e.issue_id ORDER BY bytes DESC LIMIT 20"
    ),
    "together": (
        "WITH struck AS (SELECT DISTINCT e.issue_id, e.project_id, e.user FROM rustrak_event AS e "
        f"WHERE {_WHEN} AND e.user IS NOT NULL) SELECT a.issue_id, b.issue_id AS other, count(*) AS shared "
        "FROM struck AS a JOIN struck AS b ON a.project_id = b.project_id AND a.user = b.user "
        "AND a.issue_id < b.issue_id GROUP BY a.issue_id, b.issue_id HAVING count(*) >= 3 ORDER BY shared DESC LIMIT 20"
    ),
}
"""By the name of the stock question. Error rates leave out the transaction, and types are those of issues."""

_ISSUE = (
    "INSERT INTO rustrak_issue (id, project_id, number, state, type, message, culprit, level, platform, search, "
    "event_count, user_count, first_seen, last_seen, latest) "
    "VALUES (?, ?, ?, 'open', ?, ?, '', 'error', 'python', '', ?, 0, 0, 0, zeroblob(32))"
)
_ROWS = (
    "SELECT number, project_id, event_id, issue_id, epoch_us(timestamp), epoch_us(received_at), mechanism, "
    "grouping_key, environment, release, "
    "CASE WHEN user_id IS NOT NULL THEN json_array(user_id, NULL, NULL, NULL)::VARCHAR END, payload_bytes "
    "FROM events WHERE number > $start AND number <= $stop ORDER BY number"
)
_EVENT = (
    "INSERT INTO rustrak_event (id, project_id, event_id, issue_id, timestamp, received_at, mechanism, grouping_value, "
    "environment, release, user) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PAYLOAD = f"INSERT INTO rustrak_payload (event, codec, size, data) VALUES (?, 'packed', ?, zeroblob({_PACKED_BYTES}))"


def fill_sqlite(dataset: Dataset, file: Path) -> None:
    """Make *file* a store of the same events; its payloads are so many zeros, for none of the questions reads them."""
    open_store(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        projects = dataset.sql("SELECT id, slug FROM projects").rows()
        connection.executemany(
            "INSERT INTO rustrak_project "
            "(id, name, slug, sentry_key, created_at, event_count, issue_count, last_number) "
            "VALUES (?1, ?2, ?2, ?2, 0, 0, 0, 0)",
            projects,
        )
        issues = dataset.sql("SELECT id, project_id, id, type, message, event_count FROM issues").rows()
        connection.executemany(_ISSUE, issues)
        ((last,),) = dataset.sql("SELECT max(number) FROM events").rows()
        for start in range(0, last, _BATCH):
            rows = dataset.sql(_ROWS, {"start": start, "stop": start + _BATCH}).rows()
            connection.executemany(_EVENT, [_event_row(*row) for row in rows])
            connection.executemany(
                _PAYLOAD,
                [(row[0], row[-1]) for row in rows],
            )
        connection.commit()
        connection.execute("ANALYZE")


def ask_sqlite(file: Path, question: str, since: int, until: int) -> None:
    """Ask the store, times being microseconds since 1970."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(QUESTIONS[question], {"since": since, "until": until}).fetchall()


def _event_row(  # noqa: PLR0917 - as the query has them
    number: int,
    project: int,
    event_id: UUID,
    issue: int,
    timestamp: int,
    received_at: int,
    mechanism: str,
    key: str,
    *texts: str | None,
) -> tuple[object, ...]:
    """Return a row of ``rustrak_event``; the last of *texts*, the payload's size, is another table's."""
    return (
        *(number, project, event_id.bytes, issue, timestamp, received_at, mechanism),
        *(bytes.fromhex(key), *texts[:-1]),
    )
