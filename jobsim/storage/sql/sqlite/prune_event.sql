DELETE FROM jobsim_event WHERE job IN carray(?1)
