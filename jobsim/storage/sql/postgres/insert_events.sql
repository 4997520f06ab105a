-- Records what happened, in the transaction in which it does.
INSERT INTO jobsim.event (at, job, kind, attempt, max_attempts, token, due, why, error)
SELECT $1::bigint, key, $2::text, attempt, max_attempts, token, $3::bigint, $4::bigint, $5::text
FROM unnest($6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
    WITH ORDINALITY AS given (key, attempt, max_attempts, token, place)
ORDER BY place
