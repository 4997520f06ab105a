INSERT OR REPLACE INTO jobsim_schema (one, version) VALUES (1, ?1)
