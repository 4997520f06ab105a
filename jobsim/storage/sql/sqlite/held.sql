-- The jobs among those asked for that run under a lease, whichever it is.
SELECT id, uuid, token, attempt, max_attempts, lease_until FROM job
WHERE id IN carray(?1) AND lease_until IS NOT NULL
