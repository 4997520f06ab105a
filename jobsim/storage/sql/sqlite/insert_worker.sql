INSERT INTO jobsim_worker (name) VALUES (?1) RETURNING id
