-- Which issues take the room, and what could be evicted?
--
-- Bytes are those of payloads as sent; a store keeps them in a fraction. `share` is of all in the time asked for.
WITH counted AS (
    SELECT issue_id, count(*) AS events, sum(payload_bytes)::BIGINT AS bytes
    FROM events
    WHERE day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until
        AND ($project IS NULL OR project = $project)
    GROUP BY issue_id
)
SELECT i.project, i.short_id AS issue, c.events, c.bytes, round(c.bytes / c.events)::BIGINT AS bytes_per_event,
    round(c.bytes / nullif(sum(c.bytes) OVER (), 0), 4) AS share, i.last_seen, i.type
FROM counted AS c JOIN issues AS i ON i.id = c.issue_id
ORDER BY c.bytes DESC, i.id
LIMIT $limit
