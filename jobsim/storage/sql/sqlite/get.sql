SELECT * FROM full_job WHERE uuid = ?1
