SELECT scope, name, budget, breaker, tally FROM jobsim_guard
