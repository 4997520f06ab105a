DELETE FROM jobsim_limit WHERE scope = ?1 AND name = ?2
