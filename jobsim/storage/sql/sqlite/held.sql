-- The jobs among those asked for that run under a lease, whichever it is; and whether there are budgets or
-- breakers, which ask how attempts end.
SELECT id, uuid, token, attempt, max_attempts, lease_until, replaced,
       EXISTS (SELECT 1 FROM jobsim_guard)
FROM carray(?1) AS wanted CROSS JOIN jobsim_job
WHERE id = wanted.value AND lease_until IS NOT NULL
