"""A dataset of any number of events, made by DuckDB itself: a year, few issues with most events, the same each time.

What is random is a hash of the event's number and a seed. Payloads are left out, for no question reads them; their
sizes are there.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from rustrak_storage.duck.about import About, is_file
from rustrak_storage.duck.file import File
from rustrak_storage.duck.folder import Folder
from rustrak_storage.duck.schema import EVENTS
from rustrak_storage.duck.stage import PARTED, Stage, quoted
from rustrak_storage.duck.target import GONE, MOVED

BEGIN = datetime(2025, 11, 1)  # noqa: DTZ001 - as columns hold times
DAYS = 365
SEED = 7
ISSUES_MADE = 3000
PROJECTS_MADE = 4
_CHUNK = 500_000

_SETUP = f"""
CREATE TEMP MACRO chance(n, what) AS (hash(n, what, {SEED}) % 1000000) / 1000000.0;
CREATE TEMP MACRO pick(n, what, count) AS (hash(n, what, {SEED}) % count)::BIGINT;
CREATE TEMP TABLE made_issues AS
SELECT k, k + 1 AS id, k % {PROJECTS_MADE} + 1 AS project_id, 'app-' || (k % {PROJECTS_MADE} + 1) AS project,
    'APP-' || (k % {PROJECTS_MADE} + 1) || '-' || (k // {PROJECTS_MADE} + 1) AS short_id,
    ['ValueError', 'KeyError', 'TypeError', 'TimeoutError', 'OSError', 'PaymentError'][pick(k, 'type', 6) + 1] AS type,
    CASE WHEN k % 10 = 9 THEN 'order ' || k || ' is wrong' ELSE 'value of ' || md5(k::VARCHAR)[1:7] || ' is wrong' END
        AS message,
    '/page/' || pick(k, 'transaction', 200) AS transaction, md5('issue' || k) AS grouping_key,
    [{{'module': 'shop.part_' || pick(k * 31 + j, 'module', 300), 'filename': 'shop/part.py',
        'function': 'step_' || pick(k * 31 + j, 'function', 40), 'lineno': j * 10, 'in_app': j % 3 > 0}}
        FOR j IN range(12)] AS frames
FROM range({ISSUES_MADE}) AS t(k);
"""

# An issue's rank is a power of its number of issues, so that the n-th has about a share of 1 / n.
_EVENTS = f"""
SELECT number, md5('{SEED}' || number)::UUID AS event_id, i.project_id, i.project, i.id AS issue_id,
    moment::DATE AS day,
    moment AS timestamp, moment + INTERVAL 1 SECOND AS received_at, i.type, i.message, i.transaction AS culprit,
    CASE WHEN chance(number, 'level') < 0.8 THEN 'error' ELSE 'warning' END AS level, 'python' AS platform,
    CASE WHEN chance(number, 'environment') < 0.9 THEN 'production' ELSE 'staging' END AS environment,
    'shop@1.' || (day_number // 7) AS release, i.transaction, 'https://shop.example.com' || i.transaction AS url,
    md5('trace' || number // 3) AS trace_id, 'id:' || who AS user_key, who::VARCHAR AS user_id, NULL AS user_email,
    NULL AS user_name, NULL AS user_ip, server, 'sentry.python' AS sdk_name,
    '2.' || (60 + day_number // 30) || '.' || pick(number, 'sdk', 3) AS sdk_version, 'anchor@1' AS mechanism,
    i.grouping_key, 3000 + pick(number, 'size', 4000) AS payload_bytes,
    MAP {{'server_name': server, 'region': ['eu', 'us', 'ap'][pick(number, 'region', 3) + 1],
        'plan': CASE WHEN i.k % 7 = 0 THEN 'free' ELSE ['free', 'team'][pick(number, 'plan', 2) + 1] END,
        'browser': 'browser ' || pick(number, 'browser', 30), 'handled': 'no'}} AS tags,
    i.frames, NULL AS payload
FROM (
    SELECT number, moment, date_diff('day', TIMESTAMP '{BEGIN}', moment) AS day_number,
        (pow(chance(number, 'user'), 3) * 200000)::BIGINT AS who, 'web-' || pick(number, 'server', 12) AS server,
        least((pow({ISSUES_MADE}, chance(number, 'issue')) - 1)::BIGINT, {ISSUES_MADE} - 1) AS issue_rank
    FROM (
        SELECT n + 1 AS number,
            TIMESTAMP '{BEGIN}' + to_microseconds((n * {DAYS} * 86400000000.0 / $total)::BIGINT) AS moment
        FROM range($start, $stop) AS t(n)
    )
) AS e JOIN made_issues AS i ON i.k = e.issue_rank
"""
_STATE = """
CREATE TEMP TABLE new_issues AS
SELECT i.id, i.short_id, i.project_id, i.project, i.type, i.message, i.transaction AS culprit, 'error' AS level,
    'python' AS platform, CASE WHEN i.k % 5 = 0 THEN 'resolved' ELSE 'open' END AS state, c.events AS event_count,
    c.users AS user_count, c.first_seen, c.last_seen, c.first_release, c.last_release,
    CASE WHEN i.k % 5 = 0 THEN c.last_seen + INTERVAL 1 HOUR END AS resolved_at,
    CASE WHEN i.k % 11 = 0 THEN c.last_seen END AS regressed_at,
    CASE WHEN i.k % 11 = 0 THEN c.last_release END AS regressed_in
FROM made_issues AS i JOIN (
    SELECT issue_id, count(*) AS events, approx_count_distinct(user_key) AS users, min(timestamp) AS first_seen,
        max(timestamp) AS last_seen, arg_min(release, timestamp) AS first_release,
        arg_max(release, timestamp) AS last_release
    FROM read_parquet({files}) GROUP BY issue_id
) AS c ON c.issue_id = i.id;
CREATE TEMP TABLE new_projects AS
SELECT project_id AS id, project AS slug, 'App ' || project_id AS name, TIMESTAMP '{begin}' AS created_at,
    sum(event_count)::BIGINT AS event_count, count(*) AS issue_count
FROM new_issues GROUP BY ALL;
"""


def make_dataset(path: Path, events: int) -> None:
    """Make a dataset of so many *events* at *path*, in the form that its name asks for."""
    target = File(path) if is_file(path) or path.suffix == ".duckdb" else Folder(path)
    try:
        run = target.connection.execute
        run(_SETUP)
        stage = Stage(target.work, target.connection)
        columns = ", ".join(f'"{column.name}"' for column in EVENTS.columns)
        for start in range(0, events, _CHUNK):
            rows = _EVENTS.replace("$total", str(events)).replace("$start", str(start))
            rows = rows.replace("$stop", str(min(start + _CHUNK, events)))
            run(f"COPY (SELECT {columns} FROM ({rows})) TO {quoted(target.work / 'events')} ({PARTED})")
        files = quoted(target.work / "events" / "*" / "*" / "*.parquet")
        run(_STATE.format(files=files, begin=BEGIN))
        for table in (MOVED, GONE):
            stage.load(table, ())
        ended = BEGIN.replace(tzinfo=UTC) + timedelta(days=DAYS)
        target.commit(stage, About(exported_at=ended, watermark=events))
        stage.close()
    finally:
        target.close()
