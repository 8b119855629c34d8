-- Which frames of the code do failures of many issues pass through?
--
-- A frame counts once an event, wherever it stands in the stack trace.
--
-- $which own|all = own: The application's own frames (`in_app`), or those of libraries too.
WITH stacks AS (
    SELECT issue_id, any_value(frames) AS frames, count(*) AS events
    FROM events
    WHERE day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until
        AND ($project IS NULL OR project = $project)
    GROUP BY issue_id, hash(frames)
),
apart AS (
    SELECT issue_id, events, unnest(list_distinct([
        {'file': coalesce(f.module, f.filename, ''), 'function': coalesce(f.function, '')}
        FOR f IN frames IF f.in_app OR $which = 'all'
    ])) AS frame
    FROM stacks
)
SELECT frame.file AS file, frame.function AS function, count(DISTINCT issue_id) AS issues, sum(events)::BIGINT AS events
FROM apart
GROUP BY frame
ORDER BY issues DESC, events DESC, file, function
LIMIT $limit
