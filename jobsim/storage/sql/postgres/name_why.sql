WITH made AS (
    INSERT INTO jobsim.why (outcome, reason) VALUES ($1::text, $2::text) ON CONFLICT DO NOTHING RETURNING id
)
SELECT id FROM made UNION ALL SELECT id FROM jobsim.why WHERE outcome = $1 AND reason = $2
