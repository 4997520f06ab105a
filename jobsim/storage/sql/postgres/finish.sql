-- pending, failed, running, dead_letter -> cancelled
UPDATE jobsim.job
SET state = $1::text, finished = $2::bigint, ready = NULL, lease_until = NULL, worker = NULL
WHERE id = ANY ($3::bigint[])
