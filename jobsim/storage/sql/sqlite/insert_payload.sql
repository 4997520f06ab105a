-- (new) -> pending: what the job is to work on.
INSERT INTO jobsim_payload (job, body)
VALUES (?, ?)
