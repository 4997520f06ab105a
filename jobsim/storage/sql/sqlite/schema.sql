-- Whether our tables are there.
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'jobsim_schema'
