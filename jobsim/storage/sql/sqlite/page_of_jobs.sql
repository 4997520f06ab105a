-- The last key of a page of so many rows; none where the table ends before it is full.
SELECT id FROM jobsim_job WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2 - 1
