-- Which releases brought new issues?
--
-- An issue is new in the release of its earliest event that names one. Issues count that were first seen in the time
-- asked for; `events` are all of theirs so far.
SELECT project, first_release AS release, count(*) AS new_issues, sum(event_count)::BIGINT AS events,
    min(first_seen) AS first_seen, array_to_string(list(short_id ORDER BY event_count DESC, id)[1:5], ', ') AS largest
FROM issues
WHERE first_seen >= $since AND first_seen < $until AND ($project IS NULL OR project = $project)
GROUP BY project, first_release
ORDER BY new_issues DESC, events DESC, project, release
LIMIT $limit
