-- Schema 2: budgets and breakers, as JSON that `core.guards` writes and reads, and how they stand. They have a
-- table of their own, whose rows are locked before those of jobs, as those of limits are after them.
CREATE TABLE jobsim.guard (
    name text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL CHECK (scope IN ('kind', 'queue')),
    budget text COLLATE "C",
    breaker text COLLATE "C",
    tally text COLLATE "C",
    PRIMARY KEY (name, scope)
);
