-- Leases that are over, page by page.
SELECT * FROM jobsim_whole_lease
WHERE id IN (
    SELECT id FROM jobsim_job INDEXED BY jobsim_job_leased
    WHERE lease_until < ?1 AND id > ?2
    ORDER BY id LIMIT ?3
)
ORDER BY id
