-- A page of the log.
SELECT * FROM jobsim_full_event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3
