-- No change of state: marks jobs of queues that have come due as ready, a bounded number of each.
WITH due AS MATERIALIZED (
    SELECT later.id FROM unnest($1::text[]) AS queue (name)
    CROSS JOIN LATERAL (
        SELECT id FROM jobsim.job
        WHERE queue = queue.name AND NOT ready AND run_at <= $2::bigint
        ORDER BY run_at
        LIMIT $3::bigint
        FOR UPDATE SKIP LOCKED
    ) AS later
), marked AS (
    UPDATE jobsim.job SET ready = true WHERE id = ANY (ARRAY(SELECT id FROM due)) RETURNING id
)
SELECT count(*) FROM marked
