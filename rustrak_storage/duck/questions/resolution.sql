-- How old are issues, and how long does it take to resolve them?
--
-- Issues count that were seen, or resolved, in the time asked for. Ages are in days, up to its end; `days_to_resolve`
-- is from the first event to the latest resolution.
SELECT project, state, count(*) AS issues,
    round(median(epoch($until::TIMESTAMP - first_seen) / 86400), 2) AS median_age,
    round(max(epoch($until::TIMESTAMP - first_seen) / 86400), 2) AS oldest,
    round(median(epoch(resolved_at - first_seen) / 86400), 2) AS days_to_resolve,
    round(quantile_cont(epoch(resolved_at - first_seen) / 86400, 0.9), 2) AS days_to_resolve_p90
FROM issues
WHERE greatest(last_seen, coalesce(resolved_at, last_seen)) >= $since AND first_seen < $until
    AND ($project IS NULL OR project = $project)
GROUP BY project, state
ORDER BY project, state
LIMIT $limit
