-- Schema 3: the queues that are paused.
CREATE TABLE jobsim.paused (
    queue text COLLATE "C" PRIMARY KEY
);
