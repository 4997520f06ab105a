-- running -> running, under a longer lease
UPDATE jobsim_job AS job SET lease_until = ?1
FROM carray(?2) AS wanted
WHERE job.id = wanted.value
