-- The limits for queues and kinds: who counts what runs under them does so one after the other.
SELECT scope, name, running, running_per_key, starts, per, burst, turn FROM jobsim.limits
WHERE (scope = 'queue' AND name = ANY ($1::text[])) OR (scope = 'kind' AND name = ANY ($2::text[]))
ORDER BY name, scope
FOR UPDATE
