-- Claims pass a queue by from now on.
INSERT OR IGNORE INTO jobsim_paused (queue) VALUES (?1)
