SELECT * FROM jobsim_whole_job
WHERE (?1 OR state IN carray(?2)) AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR queue = ?4)
ORDER BY id
LIMIT ?5
