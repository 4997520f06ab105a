-- running -> any, where the job still runs under the lease's token; else refused. Jobs are locked in the
-- order of their keys, as everybody does, and so are the contents of those that are refused, so that nobody
-- waits for one who waits for him. What would let a job wait that has given its unique key up meanwhile is
-- written as $18 to $20 say. A refusal keeps the job's content from being pruned before the refusal's event
-- can be seen.
-- What the UPDATE joins is written as ANY, not as =, by which jobs could be read in the order of their keys: a plan
-- that was made while there were few would else read all of them later on, to join each.
-- Where there are budgets or breakers nothing is written, and that is answered, unless $21 says that they have
-- been told; where there are none, that is answered then.
WITH guarded AS MATERIALIZED (
    SELECT FROM jobsim.guard LIMIT 1
), given AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                         $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
                         $13::bigint[], $14::text[], $15::text[])
        WITH ORDINALITY AS given (key, id, token, attempt, max_attempts, worker, kind, state, back, due,
                                  delay, ended, why, error, result, place)
    WHERE $21::boolean OR NOT EXISTS (SELECT FROM guarded)
), held AS MATERIALIZED (
    SELECT given.*, job.attempt AS counted, job.max_attempts AS allowed,
           CASE WHEN lane > '' THEN queue END AS queue, lane,
           replaced AND due IS NOT NULL AS gone
    FROM (SELECT * FROM given WHERE state IS NOT NULL ORDER BY key) AS given
    CROSS JOIN LATERAL (
        SELECT attempt, max_attempts, queue, lane, replaced FROM jobsim.job
        WHERE id = given.key AND token = given.token AND lease_until IS NOT NULL
            AND (given.ended IS NULL OR lease_until < given.ended)
        FOR UPDATE
    ) AS job
    CROSS JOIN LATERAL (
        SELECT FROM jobsim.content WHERE job = given.key AND uuid = given.id LIMIT 1
    ) AS same
), first AS MATERIALIZED (
    SELECT DISTINCT ON (key) * FROM held ORDER BY key, place
), outcome AS MATERIALIZED (
    SELECT nextval('jobsim.event_seq') AS seq, ended.* FROM (
        SELECT place, key, CASE WHEN gone THEN $18::text ELSE kind END AS kind,
               CASE WHEN gone THEN counted ELSE counted - back END AS attempt, allowed AS max_attempts,
               token, worker, CASE WHEN gone THEN $19::text ELSE state END AS state,
               CASE WHEN gone THEN NULL ELSE due END AS due, CASE WHEN gone THEN NULL ELSE delay END AS delay,
               CASE WHEN gone THEN $20::bigint ELSE why END AS why, error, result, queue, lane
        FROM first
        UNION ALL
        SELECT place, job, $16::text, attempt, max_attempts, token, worker, NULL, NULL, NULL, why, error, NULL,
               NULL, NULL
        FROM (SELECT * FROM given WHERE place NOT IN (SELECT place FROM first) ORDER BY key) AS refused
        CROSS JOIN LATERAL (SELECT job FROM jobsim.content WHERE uuid = refused.id LIMIT 1 FOR KEY SHARE) AS known
        ORDER BY place
    ) AS ended
), moved AS (
    UPDATE jobsim.job
    SET state = outcome.state, ready = outcome.due <= $17::bigint, attempt = outcome.attempt,
        run_at = coalesce(outcome.due, job.run_at), delay = coalesce(outcome.delay, job.delay),
        finished = CASE WHEN outcome.due IS NULL THEN $17 END, lease_until = NULL, worker = NULL,
        last_error = CASE WHEN outcome.error IS NULL THEN job.last_error ELSE outcome.seq END
    FROM outcome
    WHERE id = ANY (ARRAY[outcome.key]) AND outcome.state IS NOT NULL
), logged AS (
    INSERT INTO jobsim.event (seq, at, job, kind, attempt, max_attempts, token, worker, due, why, error)
    SELECT seq, $17, key, kind, attempt, max_attempts, token, worker, due, why, error FROM outcome
), kept AS (
    INSERT INTO jobsim.result (job, body)
    SELECT key, result FROM outcome WHERE result IS NOT NULL
    ON CONFLICT (job) DO UPDATE SET body = excluded.body
)
SELECT place, queue, lane FROM outcome WHERE state IS NOT NULL
UNION ALL
SELECT NULL, NULL, NULL WHERE $21 <> EXISTS (SELECT FROM guarded)
