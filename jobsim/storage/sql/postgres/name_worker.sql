WITH made AS (INSERT INTO jobsim.worker (name) VALUES ($1::text) ON CONFLICT DO NOTHING RETURNING id)
SELECT id FROM made UNION ALL SELECT id FROM jobsim.worker WHERE name = $1
