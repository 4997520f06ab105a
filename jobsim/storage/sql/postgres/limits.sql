SELECT scope, name, running, running_per_key, starts, per, burst, turn FROM jobsim.limits
