-- A page of one job's part of the log.
SELECT * FROM jobsim.full_event
WHERE job = (SELECT job FROM jobsim.content WHERE uuid = $4::uuid) AND seq > $1::bigint AND seq <= $2::bigint
ORDER BY seq
LIMIT $3::bigint
