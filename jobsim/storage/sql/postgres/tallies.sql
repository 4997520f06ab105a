-- How budgets and breakers stand.
UPDATE jobsim.guard SET tally = given.tally
FROM unnest($1::text[], $2::text[], $3::text[]) AS given (scope, name, tally)
WHERE guard.scope = given.scope AND guard.name = given.name
