SELECT * FROM jobsim_whole_job WHERE uuid IN carray(?1)
