-- pending, failed -> running, for the first of the ready jobs, and one more row to tell whether others wait.
-- How many come from each queue, where there are several, is seen first; then they are taken, past those that others are just taking.
-- One that another process, whose clock is ahead, has marked too early is left out.
-- Queues that are paused are passed by.
-- Where jobs of the queues are in lanes nothing is taken, and that is answered: what may start is for
-- `core.limits` to say, and is asked for by a second call, which names the lanes and how many come from each.
WITH laned AS MATERIALIZED (
    SELECT FROM unnest($1::text[]) AS queue (name)
    CROSS JOIN LATERAL (
        SELECT FROM jobsim.job WHERE queue = queue.name AND lane > '' AND ready LIMIT 1
    ) AS any_of_it
    WHERE NOT EXISTS (SELECT FROM jobsim.paused WHERE paused.queue = queue.name)
    LIMIT 1
), share AS MATERIALIZED (
    SELECT name AS queue, '' AS lane, count(*) AS number FROM (
        SELECT queue.name FROM unnest($1) AS queue (name)
        CROSS JOIN LATERAL (
            SELECT priority, run_at, id FROM jobsim.job
            WHERE queue = queue.name AND lane = '' AND ready AND run_at <= $2::bigint
            ORDER BY priority DESC, run_at, id
            LIMIT $3::bigint + 1
        ) AS head
        WHERE cardinality($1) > 1 AND NOT EXISTS (SELECT FROM laned)
            AND NOT EXISTS (SELECT FROM jobsim.paused WHERE paused.queue = queue.name)
        ORDER BY priority DESC, run_at, id
        LIMIT $3 + 1
    ) AS front
    GROUP BY name
    UNION ALL
    SELECT name, '', $3 + 1 FROM unnest($1) AS one (name)
    WHERE cardinality($1) = 1 AND NOT EXISTS (SELECT FROM laned)
        AND NOT EXISTS (SELECT FROM jobsim.paused WHERE paused.queue = one.name)
    UNION ALL
    SELECT * FROM unnest($9::text[], $10::text[], $11::bigint[])
), pick AS MATERIALIZED (
    SELECT head.* FROM share
    CROSS JOIN LATERAL (
        SELECT id, priority, run_at FROM jobsim.job
        WHERE queue = share.queue AND lane = share.lane AND ready AND run_at <= $2
        ORDER BY priority DESC, run_at, id
        LIMIT share.number
        FOR UPDATE SKIP LOCKED
    ) AS head
    ORDER BY priority DESC, run_at, id
), started AS (
    UPDATE jobsim.job
    SET state = $4::text, ready = NULL, attempt = attempt + 1, token = token + 1, attempted = $2,
        lease_until = $5::bigint, worker = $6::bigint
    WHERE id = ANY (ARRAY(SELECT id FROM pick LIMIT $3))
    RETURNING id, priority, run_at, queue, attempt, max_attempts, token, enqueued, delay
), logged AS (
    INSERT INTO jobsim.event (at, job, kind, attempt, max_attempts, token, worker, due)
    SELECT $2, id, $7::text, attempt, max_attempts, token, $6, $5 FROM started
    ORDER BY priority DESC, run_at, id
)
SELECT priority, run_at, id, uuid_send(uuid), kind, queue, attempt, max_attempts, budget, token, enqueued,
       delay, $5, $8::text, payload, headers
FROM started
CROSS JOIN LATERAL (SELECT uuid, kind, budget, payload, headers FROM jobsim.content WHERE job = id LIMIT 1) AS content
UNION ALL
SELECT * FROM (
    SELECT priority, run_at, id, NULL::bytea, NULL::text, NULL::text, NULL::bigint, NULL::bigint,
           NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::text, NULL::text
    FROM pick OFFSET $3
) AS next
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM laned
