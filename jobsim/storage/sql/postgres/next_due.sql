-- When the next waiting jobs of queues are due: of each lane, one that is ready, and the earliest of those to
-- come, wherever it belongs.
WITH RECURSIVE lane (queue, name) AS (
    SELECT queue.name, (
        SELECT lane FROM jobsim.job WHERE queue = queue.name AND ready ORDER BY lane LIMIT 1
    ) FROM unnest($1::text[]) AS queue (name)
    UNION ALL
    SELECT queue, (
        SELECT lane FROM jobsim.job WHERE queue = lane.queue AND lane > lane.name AND ready ORDER BY lane LIMIT 1
    ) FROM lane WHERE name IS NOT NULL
)
SELECT queue, name, due FROM lane
CROSS JOIN LATERAL (
    SELECT run_at FROM jobsim.job WHERE queue = lane.queue AND lane = lane.name AND ready
    ORDER BY priority DESC, run_at, id
    LIMIT 1
) AS head (due)
UNION ALL
SELECT name, '', due FROM unnest($1) AS queue (name)
CROSS JOIN LATERAL (
    SELECT run_at FROM jobsim.job WHERE queue = queue.name AND NOT ready ORDER BY run_at LIMIT 1
) AS first (due)
