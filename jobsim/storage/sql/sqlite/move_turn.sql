UPDATE jobsim_limit SET turn = ?1 WHERE scope = ?2 AND name = ?3
