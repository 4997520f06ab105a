-- How many attempts of each lane run.
SELECT queue, lane, count(*) FROM jobsim.job WHERE lane > '' AND lease_until IS NOT NULL GROUP BY queue, lane
