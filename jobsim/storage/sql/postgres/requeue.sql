-- pending, failed, dead_letter -> pending, with a new budget of attempts
UPDATE jobsim.job
SET state = $1::text, ready = true, max_attempts = given.max_attempts, enqueued = $2::bigint, run_at = $2,
    delay = 0, finished = NULL, replaced = false, lane = jobsim.lane(queue, content.kind, content.limit_key)
FROM unnest($3::bigint[], $4::bigint[]) AS given (key, max_attempts)
CROSS JOIN LATERAL (SELECT kind, limit_key FROM jobsim.content WHERE job = given.key LIMIT 1) AS content
WHERE id = ANY (ARRAY[given.key])
