-- The jobs among those asked for that run under the lease, in the order of their keys, as everybody locks them.
SELECT place, lease_until, replaced
FROM (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) WITH ORDINALITY AS given (key, id, token, place)
    ORDER BY key, place
) AS given
CROSS JOIN LATERAL (
    SELECT lease_until, replaced FROM jobsim.job
    WHERE id = given.key AND token = given.token AND lease_until IS NOT NULL
    FOR UPDATE
) AS job
CROSS JOIN LATERAL (
    SELECT FROM jobsim.content WHERE job = given.key AND uuid = given.id LIMIT 1
) AS same
