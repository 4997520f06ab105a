-- No change of state: puts all jobs that are not final into the lanes that the limits in force mean.
UPDATE jobsim.job SET lane = other.lane
FROM (
    SELECT open.id, jobsim.lane(queue, kind, limit_key) AS lane FROM (
        SELECT id, queue FROM jobsim.job WHERE ready
        UNION ALL
        SELECT id, queue FROM jobsim.job WHERE NOT ready
        UNION ALL
        SELECT id, queue FROM jobsim.job WHERE lease_until IS NOT NULL
    ) AS open
    CROSS JOIN LATERAL (SELECT kind, limit_key FROM jobsim.content WHERE job = open.id LIMIT 1) AS content
    OFFSET 0
) AS other
WHERE job.id = other.id AND job.lane <> other.lane
