-- Which tags are over-represented in an issue?
--
-- `lift` is how many times as common a value is among the issue's events as among all of its project; of whole days.
-- Environment, release and level count as tags here.
--
-- $issue VARCHAR: The issue, as in MY-APP-1.
-- $least BIGINT = 2: How many of the issue's events must have the value.
WITH chosen AS (SELECT id, project_id FROM issues WHERE short_id = upper($issue)),
all_events AS (
    SELECT count(*) AS project_events, count(*) FILTER (issue_id = (SELECT id FROM chosen)) AS issue_events
    FROM events
    WHERE day BETWEEN $since::DATE AND $until::DATE AND project_id = (SELECT project_id FROM chosen)
),
counted AS (
    SELECT key, value, sum(events) AS project_events,
        coalesce(sum(events) FILTER (issue_id = (SELECT id FROM chosen)), 0) AS issue_events
    FROM tag_days
    WHERE day BETWEEN $since::DATE AND $until::DATE AND project_id = (SELECT project_id FROM chosen)
    GROUP BY key, value
),
shares AS (
    SELECT c.key, c.value, c.issue_events::BIGINT AS events, c.issue_events / a.issue_events AS issue_share,
        c.project_events / a.project_events AS project_share
    FROM counted AS c, all_events AS a
    WHERE c.issue_events >= $least
)
SELECT key, value, events, round(issue_share, 4) AS issue_share, round(project_share, 4) AS project_share,
    round(issue_share / project_share, 2) AS lift
FROM shares
WHERE issue_share > project_share
ORDER BY issue_share / project_share DESC, events DESC, key, value
LIMIT $limit
