SELECT * FROM jobsim_full_job WHERE uuid = ?1
