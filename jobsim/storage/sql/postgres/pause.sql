-- Claims pass a queue by from now on.
INSERT INTO jobsim.paused (queue) VALUES ($1::text)
ON CONFLICT DO NOTHING
RETURNING true
