SELECT * FROM jobsim_whole_job WHERE uuid = ?1
