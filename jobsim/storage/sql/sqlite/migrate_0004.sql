-- Schema 4: headers, a small map as JSON, NULL where there are none. The views stand as they are: processes of an
-- older jobsim that run on read all of their columns.
ALTER TABLE jobsim_payload ADD COLUMN headers TEXT;

CREATE VIEW jobsim_whole_lease AS
SELECT job.id, uuid, kind, queue, attempt, max_attempts, budget, token, enqueued, delay, lease_until,
       worker.name AS worker, payload.body AS payload, headers
FROM jobsim_job AS job
JOIN jobsim_payload AS payload ON payload.job = job.id
JOIN jobsim_worker AS worker ON worker.id = job.worker;

CREATE VIEW jobsim_whole_job AS
SELECT job.*, headers
FROM jobsim_full_job AS job
JOIN jobsim_payload AS payload ON payload.job = job.id;
