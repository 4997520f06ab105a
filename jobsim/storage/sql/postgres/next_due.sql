-- When the next waiting jobs of queues that are not paused are due: of each lane, one that is ready, and of each queue, the first
-- of those to come.
WITH RECURSIVE lane (queue, name) AS (
    SELECT queue.name, (
        SELECT lane FROM jobsim.job WHERE queue = queue.name AND ready ORDER BY lane LIMIT 1
    ) FROM unnest($1::text[]) AS queue (name)
    WHERE NOT EXISTS (SELECT FROM jobsim.paused WHERE paused.queue = queue.name)
    UNION ALL
    SELECT queue, (
        SELECT lane FROM jobsim.job WHERE queue = lane.queue AND lane > lane.name AND ready ORDER BY lane LIMIT 1
    ) FROM lane WHERE name IS NOT NULL
)
SELECT queue, name, due, true FROM lane
CROSS JOIN LATERAL (
    SELECT run_at FROM jobsim.job WHERE queue = lane.queue AND lane = lane.name AND ready
    ORDER BY priority DESC, run_at, id
    LIMIT 1
) AS head (due)
UNION ALL
SELECT name, lane, due, false FROM unnest($1) AS queue (name)
CROSS JOIN LATERAL (
    SELECT lane, run_at FROM jobsim.job WHERE queue = queue.name AND NOT ready ORDER BY run_at LIMIT $2::bigint
) AS first (lane, due)
WHERE NOT EXISTS (SELECT FROM jobsim.paused WHERE paused.queue = queue.name)
