-- The budgets and breakers of queues and kinds: who settles under them does so one after the other.
SELECT scope, name, budget, breaker, tally FROM jobsim.guard
WHERE (scope = 'queue' AND name = ANY ($1::text[])) OR (scope = 'kind' AND name = ANY ($2::text[]))
ORDER BY name, scope
FOR UPDATE
