DELETE FROM jobsim_payload WHERE job IN carray(?1)
