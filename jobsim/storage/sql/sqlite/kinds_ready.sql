-- The kinds of the ready jobs of a queue for which there is a limit, found by a step from one to the next.
WITH RECURSIVE found (kind) AS (
    SELECT min(kind) FROM jobsim_job INDEXED BY jobsim_job_limited_ready
    WHERE queue = ?1 AND limited = 1 AND ready = 1
    UNION ALL
    SELECT (
        SELECT min(kind) FROM jobsim_job INDEXED BY jobsim_job_limited_ready
        WHERE queue = ?1 AND limited = 1 AND ready = 1 AND kind > found.kind
    )
    FROM found WHERE kind IS NOT NULL
)
SELECT kind FROM found WHERE kind IS NOT NULL
