DELETE FROM jobsim_result WHERE job IN carray(?1)
