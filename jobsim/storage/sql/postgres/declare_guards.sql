-- Puts budgets and breakers in force, in the place of others, as they are to stand.
INSERT INTO jobsim.guard (scope, name, budget, breaker, tally)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
ON CONFLICT (name, scope) DO UPDATE
SET budget = excluded.budget, breaker = excluded.breaker, tally = excluded.tally
