INSERT INTO jobsim_why (outcome, reason) VALUES (?1, ?2) RETURNING id
