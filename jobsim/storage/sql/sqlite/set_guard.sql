INSERT OR REPLACE INTO jobsim_guard (scope, name, budget, breaker, tally) VALUES (?1, ?2, ?3, ?4, ?5)
