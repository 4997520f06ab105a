-- The first ready job of each lane of a queue and a kind, found by a step from lane to lane.
WITH RECURSIVE head (limit_key, priority, run_at, id) AS (
    SELECT * FROM (
        SELECT limit_key, priority, run_at, id FROM jobsim_job INDEXED BY jobsim_job_limited_ready
        WHERE queue = ?1 AND kind = ?2 AND limited = 1 AND ready = 1 AND run_at <= ?3
        ORDER BY limit_key, priority DESC, run_at, id LIMIT 1
    )
    UNION ALL
    SELECT job.limit_key, job.priority, job.run_at, job.id
    FROM head CROSS JOIN jobsim_job AS job ON job.id = (
        SELECT id FROM jobsim_job INDEXED BY jobsim_job_limited_ready
        WHERE queue = ?1 AND kind = ?2 AND limited = 1 AND ready = 1 AND run_at <= ?3
              AND limit_key > head.limit_key
        ORDER BY limit_key, priority DESC, run_at, id LIMIT 1
    )
)
SELECT limit_key, priority, run_at, id FROM head
