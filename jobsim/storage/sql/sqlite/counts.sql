SELECT state, count(*) FROM jobsim_job GROUP BY state
