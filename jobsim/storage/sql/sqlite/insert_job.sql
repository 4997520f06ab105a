-- (new) -> pending: the job.
INSERT INTO job (uuid, kind, queue, priority, state, ready, run_at, max_attempts, budget, created, enqueued)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
