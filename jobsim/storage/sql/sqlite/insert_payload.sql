-- (new) -> pending: what the job is to work on.
INSERT INTO payload (job, body)
VALUES (?, ?)
