-- A page of one job's part of the log.
SELECT * FROM full_event
WHERE job = (SELECT id FROM job WHERE uuid = ?4) AND seq > ?1 AND seq <= ?2
ORDER BY seq
LIMIT ?3
