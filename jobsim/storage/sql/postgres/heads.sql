-- The first ready jobs of lanes, so many of each; none of a queue that is paused.
SELECT head.* FROM unnest($1::text[], $2::text[], $3::bigint[]) AS front (queue, lane, number)
CROSS JOIN LATERAL (
    SELECT priority, run_at, id, queue, lane FROM jobsim.job
    WHERE queue = front.queue AND lane = front.lane AND ready AND run_at <= $4::bigint
    ORDER BY priority DESC, run_at, id
    LIMIT front.number
) AS head
WHERE NOT EXISTS (SELECT FROM jobsim.paused WHERE paused.queue = front.queue)
