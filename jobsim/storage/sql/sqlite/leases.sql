-- The leases of running jobs.
SELECT lease.*
FROM carray(?1) AS wanted CROSS JOIN jobsim_whole_lease AS lease
WHERE id = wanted.value
