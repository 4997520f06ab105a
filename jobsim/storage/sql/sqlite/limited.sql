SELECT scope, name FROM jobsim_limit
