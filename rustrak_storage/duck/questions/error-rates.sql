-- How many errors a day does each transaction have, in each environment?
--
-- Days count from the first event in the time asked for; `share` is of all its events. NULL stands for events without one.
WITH chosen AS (
    SELECT project, transaction, environment, issue_id, user_key, timestamp
    FROM events
    WHERE day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until
        AND ($project IS NULL OR project = $project)
),
span AS (SELECT greatest(epoch($until::TIMESTAMP - min(timestamp)) / 86400, 1) AS days, count(*) AS events FROM chosen)
SELECT project, transaction, environment, count(*) AS events, round(count(*) / any_value(span.days), 2) AS per_day,
    round(count(*) / any_value(span.events), 4) AS share, count(DISTINCT issue_id) AS issues,
    count(DISTINCT user_key) AS users
FROM chosen, span
GROUP BY project, transaction, environment
ORDER BY count(*) DESC, project, transaction, environment
LIMIT $limit
