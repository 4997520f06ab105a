-- pending, failed, dead_letter -> pending, with a new budget of attempts, and holding its unique key again
UPDATE jobsim_job
SET state = ?1, ready = 1, max_attempts = ?2, enqueued = ?3, run_at = ?3, delay = 0, finished = NULL,
    replaced = 0,
    limited = queue IN (SELECT name FROM jobsim_limit WHERE scope = 'queue')
              OR kind IN (SELECT name FROM jobsim_limit WHERE scope = 'kind')
WHERE id = ?4
