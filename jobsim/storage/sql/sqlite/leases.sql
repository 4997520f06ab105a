-- The leases of running jobs.
SELECT full_lease.* FROM carray(?1) AS wanted
CROSS JOIN full_lease ON full_lease.id = wanted.value
