-- What decides whether an operator's call is possible, for the jobs asked for. They are locked in the order
-- of their keys, as everybody does, so that nobody waits for one who waits for him.
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT content.* FROM unnest($1::uuid[]) AS asked (id)
    CROSS JOIN LATERAL (SELECT job, uuid, budget FROM jobsim.content WHERE uuid = asked.id LIMIT 1) AS content
    ORDER BY job
)
SELECT uuid_send(uuid), job.id, state, attempt, max_attempts, budget, token, unique_key, replaced, lane > ''
FROM wanted
CROSS JOIN LATERAL (
    SELECT id, state, attempt, max_attempts, token, unique_key, replaced, lane FROM jobsim.job
    WHERE id = wanted.job
    FOR UPDATE
) AS job
