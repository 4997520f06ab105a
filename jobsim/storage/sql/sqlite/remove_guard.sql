DELETE FROM jobsim_guard WHERE scope = ?1 AND name = ?2
