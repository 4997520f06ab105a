-- The lanes of queues that are not paused in which jobs are ready, each found by a step from the one before it.
WITH RECURSIVE step (queue, lane) AS (
    SELECT queue.name, (
        SELECT lane FROM jobsim.job WHERE queue = queue.name AND lane > '' AND ready ORDER BY lane LIMIT 1
    ) FROM unnest($1::text[]) AS queue (name)
    WHERE NOT EXISTS (SELECT FROM jobsim.paused WHERE paused.queue = queue.name)
    UNION ALL
    SELECT queue, (
        SELECT lane FROM jobsim.job WHERE queue = step.queue AND lane > step.lane AND ready ORDER BY lane LIMIT 1
    ) FROM step WHERE lane IS NOT NULL
)
SELECT queue, lane FROM step WHERE lane IS NOT NULL
