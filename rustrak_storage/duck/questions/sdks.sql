-- Which SDKs, in which versions, are in use?
SELECT sdk_name AS sdk, sdk_version AS version, count(*) AS events,
    array_to_string(list(DISTINCT project ORDER BY project), ', ') AS projects, max(timestamp) AS last_event
FROM events
WHERE day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until
    AND ($project IS NULL OR project = $project)
GROUP BY sdk_name, sdk_version
ORDER BY events DESC, sdk, version
LIMIT $limit
