-- Jobs of a page of the table that ended before a time in one of some states.
SELECT id FROM jobsim_job
WHERE id > ?1 AND id <= ?2 AND finished < ?3 AND state IN carray(?4)
ORDER BY id LIMIT ?5
