-- running -> any: what the handler returned; a later attempt's takes the place of an earlier one's.
INSERT OR REPLACE INTO jobsim_result (job, body)
VALUES (?, ?)
