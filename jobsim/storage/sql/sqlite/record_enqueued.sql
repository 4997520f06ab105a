-- (new) -> pending: the events of jobs that were written just now; the reason names the kind.
INSERT INTO jobsim_event (at, job, kind, attempt, max_attempts, token, due, why)
SELECT ?1, id, ?2, attempt, max_attempts, token, run_at,
       (SELECT id FROM jobsim_why WHERE outcome = '' AND reason = kind)
FROM jobsim_job
WHERE id BETWEEN ?3 AND ?4
ORDER BY id
