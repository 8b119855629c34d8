-- Which issues strike most, by events or by distinct users?
--
-- $by events|users = events: What to sort by.
WITH counted AS (
    SELECT issue_id, count(*) AS events, count(DISTINCT user_key) AS users, max(timestamp) AS last_event
    FROM events
    WHERE day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until
        AND ($project IS NULL OR project = $project)
    GROUP BY issue_id
)
SELECT i.short_id AS issue, i.state, c.events, c.users, c.last_event, i.type, i.message
FROM counted AS c JOIN issues AS i ON i.id = c.issue_id
ORDER BY CASE $by WHEN 'users' THEN c.users ELSE c.events END DESC, c.events DESC, i.id
LIMIT $limit
