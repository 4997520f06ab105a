-- Numbers for new jobs, in their order.
SELECT nextval('jobsim.job_id') FROM generate_series(1, $1::bigint)
