-- How many jobs of each queue are in each state, and when the first of those that wait is due.
SELECT queue, state, count(*), min(run_at) FROM jobsim_job GROUP BY queue, state
