-- (new) -> pending: the job.
INSERT INTO jobsim_job (uuid, kind, queue, priority, state, ready, run_at, max_attempts, budget, created,
                        enqueued)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
