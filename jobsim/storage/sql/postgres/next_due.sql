-- When the next waiting job of queues is due: of each, one that is ready, and the earliest of those to come.
SELECT min(due) FROM unnest($1::text[]) AS queue (name)
CROSS JOIN LATERAL (
    (SELECT run_at FROM jobsim.job WHERE queue = queue.name AND ready
     ORDER BY priority DESC, run_at, id LIMIT 1)
    UNION ALL
    (SELECT run_at FROM jobsim.job WHERE queue = queue.name AND NOT ready ORDER BY run_at LIMIT 1)
) AS first (due)
