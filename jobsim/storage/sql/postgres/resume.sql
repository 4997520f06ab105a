-- Claims do not pass a queue by any more.
DELETE FROM jobsim.paused WHERE queue = $1::text
RETURNING true
