SELECT state, count(*) FROM jobsim.job GROUP BY state
