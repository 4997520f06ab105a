-- Schema 3: the queues that are paused.
CREATE TABLE jobsim_paused (
    queue TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
