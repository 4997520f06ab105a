SELECT version FROM jobsim_schema
