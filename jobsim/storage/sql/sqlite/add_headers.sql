-- (new) -> pending: what goes with the job.
UPDATE jobsim_payload SET headers = ?2 WHERE job = ?1
