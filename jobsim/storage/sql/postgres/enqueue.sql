-- (new) -> pending: jobs, what they are to work on, and their events, which are numbered only once all the
-- rest is known to be possible. Those that have a number have a row already: see hold.sql.
WITH given AS MATERIALIZED (
    SELECT coalesce(number, nextval('jobsim.job_id')) AS key, new.*, coalesce(limited_by, '') AS limit_key
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
                $8::text[], $9::bigint[], $13::text[])
        AS new (id, kind, queue, priority, run_at, max_attempts, payload, limited_by, number, headers)
), made AS (
    INSERT INTO jobsim.job (id, queue, priority, state, ready, run_at, max_attempts, enqueued, lane)
    SELECT key, queue, priority, $10::text, run_at <= $11::bigint, run_at, max_attempts, $11,
           CASE WHEN (SELECT EXISTS (SELECT FROM jobsim.limits)) THEN jobsim.lane(queue, kind, limit_key) ELSE '' END
    FROM given WHERE number IS NULL
    RETURNING id
), kept AS (
    INSERT INTO jobsim.content (job, uuid, kind, budget, created, limit_key, payload, headers)
    SELECT key, id, kind, max_attempts, $11, limit_key, payload, headers FROM given
    RETURNING job
)
INSERT INTO jobsim.event (at, job, kind, attempt, max_attempts, token, due)
SELECT $11, key, $12::text, 0, max_attempts, 0, run_at FROM given
WHERE (SELECT count(*) FROM made) + (SELECT count(*) FROM kept) > 0
ORDER BY key
