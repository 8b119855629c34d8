-- How many issues have one event only, and of which types are they?
--
-- Many of one type are a sign that grouping takes apart what belongs together. Issues count that were first seen in the
-- time asked for.
SELECT project, type, count(*) FILTER (event_count = 1) AS one_event, count(*) AS issues,
    round(count(*) FILTER (event_count = 1) / count(*), 4) AS share
FROM issues
WHERE first_seen >= $since AND first_seen < $until AND ($project IS NULL OR project = $project)
GROUP BY project, type
HAVING count(*) FILTER (event_count = 1) > 0
ORDER BY one_event DESC, issues, project, type
LIMIT $limit
