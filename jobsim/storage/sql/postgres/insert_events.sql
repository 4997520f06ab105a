-- Records what happened, in the transaction in which it does.
INSERT INTO jobsim.event (at, job, kind, attempt, max_attempts, token, due, why, error)
SELECT $1::bigint, key, $2::text, attempt, max_attempts, token, $3::bigint, $4::bigint, error
FROM unnest($5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
    WITH ORDINALITY AS given (key, attempt, max_attempts, token, error, place)
ORDER BY place
