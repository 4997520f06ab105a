-- Schema 4: headers, a small map as JSON, NULL where there are none. The view stands as it is: processes of an
-- older jobsim that run on read all of its columns.
ALTER TABLE jobsim.content ADD COLUMN headers text COLLATE "C";

CREATE VIEW jobsim.whole_job AS
SELECT job.*, headers
FROM jobsim.full_job AS job
JOIN jobsim.content ON content.job = job.id;
