-- The first job to come of each lane of a queue, found by a step from lane to lane.
WITH RECURSIVE head (queue, kind, limit_key, priority, run_at, id) AS (
    SELECT * FROM (
        SELECT queue, kind, limit_key, priority, run_at, id
        FROM jobsim_job INDEXED BY jobsim_job_limited_later
        WHERE queue = ?1 AND limited = 1 AND ready = 0
        ORDER BY kind, limit_key, run_at LIMIT 1
    )
    UNION ALL
    SELECT job.queue, job.kind, job.limit_key, job.priority, job.run_at, job.id
    FROM head CROSS JOIN jobsim_job AS job ON job.id = coalesce(
        (
            SELECT id FROM jobsim_job INDEXED BY jobsim_job_limited_later
            WHERE queue = ?1 AND limited = 1 AND ready = 0
                  AND kind = head.kind AND limit_key > head.limit_key
            ORDER BY limit_key, run_at LIMIT 1
        ),
        (
            SELECT id FROM jobsim_job INDEXED BY jobsim_job_limited_later
            WHERE queue = ?1 AND limited = 1 AND ready = 0 AND kind > head.kind
            ORDER BY kind, limit_key, run_at LIMIT 1
        )
    )
)
SELECT * FROM head
