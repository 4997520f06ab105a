-- Claims do not pass a queue by any more.
DELETE FROM jobsim_paused WHERE queue = ?1
