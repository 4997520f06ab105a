-- Removes jobs, if they are still such as they were found, with what belongs to them but for their events.
WITH gone AS MATERIALIZED (
    SELECT id FROM jobsim.job
    WHERE id = ANY ($1::bigint[]) AND state = ANY ($2::text[]) AND finished < $3::bigint
    ORDER BY id
    FOR UPDATE
), jobs AS (
    DELETE FROM jobsim.job WHERE id = ANY (ARRAY(SELECT id FROM gone))
), contents AS (
    DELETE FROM jobsim.content WHERE job = ANY (ARRAY(SELECT id FROM gone))
), results AS (
    DELETE FROM jobsim.result WHERE job = ANY (ARRAY(SELECT id FROM gone))
)
SELECT id FROM gone
