SELECT * FROM jobsim.whole_job
WHERE state = ANY ($1::text[]) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
ORDER BY id
LIMIT $4::bigint
