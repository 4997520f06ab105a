-- A page of the log.
SELECT * FROM jobsim.full_event WHERE seq > $1::bigint AND seq <= $2::bigint ORDER BY seq LIMIT $3::bigint
