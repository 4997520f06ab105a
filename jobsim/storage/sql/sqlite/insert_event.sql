-- Records what happened, in the transaction in which it does.
INSERT INTO jobsim_event (at, job, kind, attempt, max_attempts, token, worker, due, why, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
