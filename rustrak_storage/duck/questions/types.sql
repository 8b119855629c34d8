-- Which types of exception are there, and how do they grow from week to week?
--
-- `week` are the last seven days of the time asked for, `week_before` the seven before; `growth` is 0.5 for half as many
-- again, and NULL where there were none before.
WITH counted AS (
    SELECT project, type, count(*) FILTER (timestamp >= $since) AS events,
        count(DISTINCT issue_id) FILTER (timestamp >= $since) AS issues,
        count(*) FILTER (timestamp >= $until::TIMESTAMP - INTERVAL 7 DAY) AS week,
        count(*) FILTER (timestamp >= $until::TIMESTAMP - INTERVAL 14 DAY
            AND timestamp < $until::TIMESTAMP - INTERVAL 7 DAY) AS week_before
    FROM events
    WHERE day BETWEEN least($since::TIMESTAMP, $until::TIMESTAMP - INTERVAL 14 DAY)::DATE AND $until::DATE
        AND timestamp >= least($since::TIMESTAMP, $until::TIMESTAMP - INTERVAL 14 DAY) AND timestamp < $until
        AND ($project IS NULL OR project = $project)
    GROUP BY project, type
)
SELECT project, type, events, issues, week, week_before,
    CASE WHEN week_before > 0 THEN round(week / week_before - 1, 4) END AS growth
FROM counted
ORDER BY week DESC, events DESC, project, type
LIMIT $limit
