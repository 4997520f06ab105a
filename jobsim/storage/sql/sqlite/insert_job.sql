-- (new) -> pending: the job.
INSERT INTO jobsim_job (state, created, enqueued, uuid, kind, queue, priority, ready, run_at, max_attempts,
                        budget, unique_key, limit_key, limited)
VALUES (?1, ?2, ?2, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
