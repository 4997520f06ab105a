-- Jobs that ended in one of some states, longest ago first as far as that can be told from their numbers.
SELECT id FROM jobsim.job WHERE state = ANY ($1::text[]) AND finished < $2::bigint ORDER BY id LIMIT $3::bigint
