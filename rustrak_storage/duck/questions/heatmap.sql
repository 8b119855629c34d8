-- At which hours of which weekdays do errors happen?
--
-- Weekdays are 1 (Monday) to 7, hours 0 to 23, in UTC; all 168 are there.
WITH counted AS (
    SELECT isodow(timestamp) AS weekday, hour(timestamp) AS hour, count(*) AS events
    FROM events
    WHERE day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until
        AND ($project IS NULL OR project = $project)
    GROUP BY ALL
)
SELECT w.weekday, h.hour, coalesce(c.events, 0) AS events
FROM range(1, 8) AS w(weekday) CROSS JOIN range(24) AS h(hour)
LEFT JOIN counted AS c ON c.weekday = w.weekday AND c.hour = h.hour
ORDER BY w.weekday, h.hour
