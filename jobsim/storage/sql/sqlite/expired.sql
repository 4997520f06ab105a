-- Leases that are over, page by page. The plus signs make SQLite look among the running jobs alone.
SELECT * FROM full_lease
WHERE lease_until < ?1 AND +id > ?2
ORDER BY +id
LIMIT ?3
