-- Of the issues that were resolved, how many came back?
--
-- Of each issue the latest resolution and the latest regression are known. Those count that happened in the time asked
-- for.
WITH chosen AS (
    SELECT project, regressed_at IS NOT NULL AND regressed_at >= $since AND regressed_at < $until AS is_reopened,
        resolved_at IS NOT NULL AND resolved_at >= $since AND resolved_at < $until AS is_resolved
    FROM issues
    WHERE $project IS NULL OR project = $project
)
SELECT project, count(*) AS resolved, count(*) FILTER (is_reopened) AS reopened,
    round(count(*) FILTER (is_reopened) / count(*), 4) AS rate
FROM chosen
WHERE is_reopened OR is_resolved
GROUP BY project
ORDER BY rate DESC, resolved DESC, project
LIMIT $limit
