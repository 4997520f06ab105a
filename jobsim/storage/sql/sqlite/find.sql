SELECT * FROM full_job
WHERE state IN carray(?1) AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR queue = ?3)
ORDER BY id
LIMIT ?4
