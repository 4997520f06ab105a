INSERT OR REPLACE INTO jobsim_limit (scope, name, running, running_per_key, starts, per, burst, turn)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
