-- Which issues strike the same users, or the same traces?
--
-- Pairs, those first that share the largest part of all whom either strikes (`similarity`, 0 to 1). Issues may be of
-- different projects, so that traces show what fails because something else does.
--
-- $by users|traces = users: What they share.
-- $least BIGINT = 3: How many they must share.
WITH struck AS (
    SELECT DISTINCT issue_id, CASE $by WHEN 'users' THEN project_id END AS users_of,
        CASE $by WHEN 'traces' THEN trace_id ELSE user_key END AS whom
    FROM events
    WHERE day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until
        AND ($project IS NULL OR project = $project)
        AND CASE $by WHEN 'traces' THEN trace_id ELSE user_key END IS NOT NULL
),
-- A number for each of them, so that texts are compared once and pairs are found by numbers.
numbered AS MATERIALIZED (
    SELECT row_number() OVER () AS who, list(issue_id) AS issue_ids FROM struck GROUP BY users_of, whom
),
sizes AS (
    SELECT issue_id, count(*) AS struck FROM (SELECT unnest(issue_ids) AS issue_id FROM numbered) GROUP BY issue_id
),
several AS MATERIALIZED (
    SELECT who, unnest(issue_ids) AS issue_id FROM numbered WHERE len(issue_ids) > 1
),
pairs AS (
    SELECT a.issue_id AS one, b.issue_id AS other, count(*) AS shared
    FROM several AS a JOIN several AS b ON a.who = b.who AND a.issue_id < b.issue_id
    GROUP BY ALL
    HAVING count(*) >= $least
)
SELECT i.short_id AS issue, j.short_id AS other, p.shared, s.struck AS issue_strikes, t.struck AS other_strikes,
    round(p.shared / (s.struck + t.struck - p.shared), 4) AS similarity
FROM pairs AS p
JOIN issues AS i ON i.id = p.one JOIN issues AS j ON j.id = p.other
JOIN sizes AS s ON s.issue_id = p.one JOIN sizes AS t ON t.issue_id = p.other
ORDER BY p.shared / (s.struck + t.struck - p.shared) DESC, p.shared DESC, p.one, p.other
LIMIT $limit
