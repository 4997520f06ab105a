-- A page of one job's part of the log.
SELECT * FROM jobsim_full_event
WHERE job = (SELECT id FROM jobsim_job WHERE uuid = ?4) AND seq > ?1 AND seq <= ?2
ORDER BY seq
LIMIT ?3
