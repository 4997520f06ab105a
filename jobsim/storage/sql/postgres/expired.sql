-- Leases that are over, page by page.
WITH over AS MATERIALIZED (
    SELECT id FROM jobsim.job WHERE lease_until < $1::bigint
), page AS MATERIALIZED (
    SELECT id FROM over WHERE id > $2::bigint ORDER BY id LIMIT $3::bigint
)
SELECT job.id, uuid_send(uuid), kind, queue, attempt, max_attempts, budget, token, enqueued, delay,
       lease_until, name, payload, headers
FROM jobsim.job
CROSS JOIN LATERAL (SELECT uuid, kind, budget, payload, headers FROM jobsim.content WHERE job = job.id LIMIT 1) AS content
CROSS JOIN LATERAL (SELECT name FROM jobsim.worker WHERE worker.id = job.worker LIMIT 1) AS worker
WHERE job.id = ANY (ARRAY(SELECT id FROM page)) AND lease_until < $1
ORDER BY job.id
