-- running -> running, under a longer lease
UPDATE jobsim_job SET lease_until = ?2
FROM carray(?1) AS wanted
WHERE id = wanted.value
