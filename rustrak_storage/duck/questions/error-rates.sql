-- How many errors a day does each transaction have, in each environment?
--
-- Days count from the first event in the time asked for; `share` is of all its events. NULL stands for events without one.
WITH grouped AS (
    SELECT project, transaction, environment, count(*) AS events, count(DISTINCT issue_id) AS issues,
        count(DISTINCT user_key) AS users, min(timestamp) AS first_event
    FROM events
    WHERE day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until
        AND ($project IS NULL OR project = $project)
    GROUP BY project, transaction, environment
)
SELECT project, transaction, environment, events,
    round(events / greatest(epoch($until::TIMESTAMP - min(first_event) OVER ()) / 86400, 1), 2) AS per_day,
    round(events / sum(events) OVER (), 4) AS share, issues, users
FROM grouped
ORDER BY events DESC, project, transaction, environment
LIMIT $limit
