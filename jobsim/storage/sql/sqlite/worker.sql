SELECT id FROM jobsim_worker WHERE name = ?1
