-- Which issues have titles that differ only in numbers, ids or quoted text?
--
-- Such issues are perhaps one, which a rule on grouping would keep together. Issues count that were seen in the time
-- asked for.
WITH titled AS (
    SELECT project, type, id, short_id, event_count,
        regexp_replace(
            regexp_replace(
                regexp_replace(lower(split_part(message, chr(10), 1)), '''[^'']*''|"[^"]*"', '<text>', 'g'),
                '\b[0-9a-f]{8,}(-[0-9a-f]{4,})*\b', '<id>', 'g'),
            '[0-9]+', '<number>', 'g') AS title
    FROM issues
    WHERE last_seen >= $since AND first_seen < $until AND ($project IS NULL OR project = $project)
)
SELECT project, type, title, count(*) AS issues, sum(event_count)::BIGINT AS events,
    array_to_string(list(short_id ORDER BY event_count DESC, id)[1:5], ', ') AS largest
FROM titled
WHERE title <> ''
GROUP BY project, type, title
HAVING count(*) > 1
ORDER BY issues DESC, events DESC, project, type, title
LIMIT $limit
