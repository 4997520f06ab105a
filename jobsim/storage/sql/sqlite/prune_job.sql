-- Removes jobs that are still as they were when they were looked for.
DELETE FROM jobsim_job
WHERE id IN carray(?1) AND finished < ?2 AND state IN carray(?3)
RETURNING id
