-- Puts limits in the place of others; whose turn it is stays, unless the rate is another.
INSERT INTO jobsim.limits (scope, name, running, running_per_key, starts, per, burst)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
ON CONFLICT (name, scope) DO UPDATE
SET running = excluded.running, running_per_key = excluded.running_per_key, starts = excluded.starts,
    per = excluded.per, burst = excluded.burst,
    turn = CASE WHEN (limits.starts, limits.per, limits.burst)
                     IS NOT DISTINCT FROM (excluded.starts, excluded.per, excluded.burst) THEN limits.turn END
