UPDATE jobsim_guard SET tally = ?1 WHERE scope = ?2 AND name = ?3
