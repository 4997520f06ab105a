-- (new) -> pending: jobs, what they are to work on, and their events, which are numbered only once all the
-- rest is known to be possible.
WITH given AS MATERIALIZED (
    SELECT nextval('jobsim.job_id') AS key, new.*
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
                $8::bigint[]) AS new (id, kind, queue, priority, run_at, max_attempts, payload, why)
), made AS (
    INSERT INTO jobsim.job (id, queue, priority, state, ready, run_at, max_attempts, enqueued)
    SELECT key, queue, priority, $9::text, run_at <= $10::bigint, run_at, max_attempts, $10 FROM given
    RETURNING id
), kept AS (
    INSERT INTO jobsim.content (job, uuid, kind, budget, created, payload)
    SELECT key, id, kind, max_attempts, $10, payload FROM given
    RETURNING job
)
INSERT INTO jobsim.event (at, job, kind, attempt, max_attempts, token, due, why)
SELECT $10, key, $11::text, 0, max_attempts, 0, run_at, why FROM given
WHERE (SELECT count(*) FROM made) + (SELECT count(*) FROM kept) > 0
ORDER BY key
