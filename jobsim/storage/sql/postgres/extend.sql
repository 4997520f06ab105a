-- running -> running, under a longer lease
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[])
        WITH ORDINALITY AS given (key, id, token, worker, place)
), held AS MATERIALIZED (
    SELECT given.*, job.* FROM (SELECT * FROM given ORDER BY key) AS given
    CROSS JOIN LATERAL (
        SELECT attempt, max_attempts, lease_until FROM jobsim.job
        WHERE id = given.key AND token = given.token AND lease_until IS NOT NULL
        FOR UPDATE
    ) AS job
    CROSS JOIN LATERAL (
        SELECT FROM jobsim.content WHERE job = given.key AND uuid = given.id LIMIT 1
    ) AS same
), moved AS (
    UPDATE jobsim.job SET lease_until = $5::bigint
    WHERE id = ANY (ARRAY(SELECT key FROM held WHERE lease_until < $5))
), logged AS (
    INSERT INTO jobsim.event (at, job, kind, attempt, max_attempts, token, worker, due)
    SELECT $6::bigint, key, $7::text, attempt, max_attempts, token, worker, greatest(lease_until, $5)
    FROM held ORDER BY place
)
SELECT place FROM held
