-- Whose turn it is under a rate.
UPDATE jobsim.limits SET turn = given.turn
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given (scope, name, turn)
WHERE limits.scope = given.scope AND limits.name = given.name
