"""A dataset of any number of events, made by DuckDB itself: a year, few issues with most events, the same each time.

What is random is a hash of the event's number and a seed. Payloads are left out, for no question reads them; their
sizes are there. Lines of frames differ from release to release, as they do when code is changed.

A folder is staged and committed as an export does it. In a file, what an export stages first and then inserts, in the
same order, is inserted at once, some days at a time: ten million events take minutes, and memory for one such batch.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from rustrak_storage.duck.about import About, is_file
from rustrak_storage.duck.file import File
from rustrak_storage.duck.folder import Folder
from rustrak_storage.duck.schema import EVENTS, TAG_DAYS_OF
from rustrak_storage.duck.stage import PARTED, STAGED, Stage, quoted
from rustrak_storage.duck.target import GONE, MOVED, Target

BEGIN = datetime(2025, 11, 1)  # noqa: DTZ001 - as columns hold times
DAYS = 365
SEED = 7
ISSUES_MADE = 3000
PROJECTS_MADE = 4
_BATCH = 250_000
"""So many events, of whole days, are made at once."""

_SETUP = f"""
CREATE TEMP MACRO chance(n, what) AS (hash(n, what, {SEED}) % 1000000) / 1000000.0;
CREATE TEMP MACRO pick(n, what, count) AS (hash(n, what, {SEED}) % count)::BIGINT;
CREATE TEMP TABLE made_issues AS
SELECT k, k + 1 AS id, k % {PROJECTS_MADE} + 1 AS project_id, 'app-' || (k % {PROJECTS_MADE} + 1) AS project,
    'APP-' || (k % {PROJECTS_MADE} + 1) || '-' || (k // {PROJECTS_MADE} + 1) AS short_id,
    ['ValueError', 'KeyError', 'TypeError', 'TimeoutError', 'OSError', 'PaymentError'][pick(k, 'type', 6) + 1] AS type,
    CASE WHEN k % 10 = 9 THEN 'order ' || k || ' is wrong' ELSE 'value of ' || md5(k::VARCHAR)[1:7] || ' is wrong' END
        AS message,
    '/page/' || pick(k, 'transaction', 200) AS transaction, md5('issue' || k) AS grouping_key
FROM range({ISSUES_MADE}) AS t(k);
"""
_STACKS = """
CREATE OR REPLACE TEMP TABLE made_stacks AS
SELECT k, week, [{'module': 'shop.part_' || pick(k * 31 + j, 'module', 300), 'filename': 'shop/part.py',
    'function': 'step_' || pick(k * 31 + j, 'function', 40), 'lineno': j * 10 + week, 'in_app': j % 3 > 0}
    FOR j IN range(12)] AS frames
FROM made_issues CROSS JOIN range($first_day // 7, $end_day // 7 + 1) AS w(week)
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
    s.frames, NULL AS payload
FROM (
    SELECT number, moment, date_diff('day', TIMESTAMP '{BEGIN}', moment) AS day_number,
        (pow(chance(number, 'user'), 3) * 200000)::BIGINT AS who, 'web-' || pick(number, 'server', 12) AS server,
        least((pow({ISSUES_MADE}, chance(number, 'issue')) - 1)::BIGINT, {ISSUES_MADE} - 1) AS issue_rank
    FROM (
        SELECT n + 1 AS number,
            TIMESTAMP '{BEGIN}' + to_microseconds((n * {DAYS} * 86400000000.0 / $total)::BIGINT) AS moment
        FROM range($start, $stop) AS t(n)
    )
) AS e JOIN made_issues AS i ON i.k = e.issue_rank JOIN made_stacks AS s ON s.k = i.k AND s.week = e.day_number // 7
"""
_STATE = """
CREATE TEMP TABLE new_issues AS
SELECT i.id, i.short_id, i.project_id, i.project, i.type, i.message, i.transaction AS culprit, 'error' AS level,
    'python' AS platform, CASE WHEN i.k % 5 = 0 THEN 'resolved' ELSE 'open' END AS state, c.events AS event_count,
    c.users AS user_count, c.first_seen, c.last_seen, c.first_release, c.last_release,
    CASE WHEN i.k % 5 = 0 THEN c.last_seen + INTERVAL 1 HOUR END AS resolved_at,
    CASE WHEN i.k % 11 = 0 THEN c.last_seen END AS regressed_at,
    CASE WHEN i.k % 11 = 0 THEN c.last_release END AS regressed_in,
    [{{'mechanism': 'anchor@1', 'value': i.grouping_key, 'origin_id': i.id}}] AS keys
FROM made_issues AS i JOIN (
    SELECT issue_id, count(*) AS events, approx_count_distinct(user_key) AS users, min(timestamp) AS first_seen,
        max(timestamp) AS last_seen, arg_min(release, timestamp) AS first_release,
        arg_max(release, timestamp) AS last_release
    FROM {events} GROUP BY issue_id
) AS c ON c.issue_id = i.id;
CREATE TEMP TABLE new_projects AS
SELECT project_id AS id, project AS slug, 'App ' || project_id AS name, TIMESTAMP '{begin}' AS created_at,
    sum(event_count)::BIGINT AS event_count, count(*) AS issue_count, '' AS rules, 'anchor@1' AS mechanism
FROM new_issues GROUP BY ALL;
"""


def make_dataset(path: Path, events: int) -> None:
    """Make a dataset of so many *events* at *path*, in the form that its name asks for."""
    is_one = is_file(path)
    target: Target = File(path) if is_one else Folder(path)
    stage = Stage(target.work, target.connection)
    try:
        run = target.connection.execute
        run("SET memory_limit = '4GiB'")
        run(_SETUP)
        for rows in _batches(target, events):
            if is_one:
                run(f"CREATE OR REPLACE TEMP TABLE batch AS {rows}")
                run("INSERT INTO events FROM batch")
                run(f"INSERT INTO tag_days {TAG_DAYS_OF.format(events='batch')} ORDER BY ALL")
            else:
                run(f"COPY ({rows}) TO {quoted(target.work / 'events')} ({PARTED})")
        run("DROP TABLE IF EXISTS batch")
        run(_STATE.format(events="events" if is_one else f"read_parquet({quoted(_staged(target))})", begin=BEGIN))
        for table in (MOVED, GONE):
            stage.load(table, ())
        ended = BEGIN.replace(tzinfo=UTC) + timedelta(days=DAYS)
        target.commit(stage, About(exported_at=ended, watermark=events))
    finally:
        stage.close()
        target.close()


def _batches(target: Target, events: int) -> Iterator[str]:
    """Yield a query for the events of some days at a time, whose stack traces the target's connection has then."""
    columns = ", ".join(f'"{column.name}"::{column.type} AS "{column.name}"' for column in EVENTS.columns)
    days = max(_BATCH * DAYS // events, 1)
    for first in range(0, DAYS, days):
        end = min(first + days, DAYS)
        values = {"first_day": first, "end_day": end, "total": events}
        values |= {"start": -(-first * events // DAYS), "stop": -(-end * events // DAYS)}
        target.connection.execute(Template(_STACKS).substitute(values))
        rows = f"SELECT {columns} FROM ({Template(_EVENTS).substitute(values)})"
        yield f"{rows} ORDER BY day, project_id, number // {STAGED}, issue_id, number"


def _staged(target: Target) -> Path:
    return target.work / "events" / "*" / "*" / "*.parquet"
