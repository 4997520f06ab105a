SELECT id FROM jobsim_why WHERE outcome = ?1 AND reason = ?2
