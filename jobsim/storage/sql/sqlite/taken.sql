-- Whether an id is.
SELECT 1 FROM jobsim_job WHERE uuid = ?1
