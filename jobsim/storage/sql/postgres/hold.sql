-- (new) -> pending, for jobs of which some have a unique key: the rows of those whose key nobody holds. Whoever
-- is about to take one is waited for, in the order given.
INSERT INTO jobsim.job (id, queue, priority, state, ready, run_at, max_attempts, enqueued, lane, unique_key)
SELECT number, queue, priority, $9::text, run_at <= $10::bigint, run_at, max_attempts, $10,
       jobsim.lane(queue, kind, limit_key), unique_key
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
            $8::text[])
    AS new (number, kind, queue, priority, run_at, max_attempts, limit_key, unique_key)
ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL AND finished IS NULL AND NOT replaced DO NOTHING
RETURNING id
