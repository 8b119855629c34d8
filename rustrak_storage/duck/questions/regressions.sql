-- Which releases brought resolved issues back?
--
-- Of each issue the latest regression is known. Those count that happened in the time asked for.
SELECT project, regressed_in AS release, count(*) AS regressions, max(regressed_at) AS last_regression,
    array_to_string(list(short_id ORDER BY event_count DESC, id)[1:5], ', ') AS largest
FROM issues
WHERE regressed_at >= $since AND regressed_at < $until AND ($project IS NULL OR project = $project)
GROUP BY project, regressed_in
ORDER BY regressions DESC, last_regression DESC, project, release
LIMIT $limit
