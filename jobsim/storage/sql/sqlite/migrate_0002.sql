-- Schema 2: budgets and breakers, as JSON that `core.guards` writes and reads, and how they stand. They have a
-- table of their own, as what holds nothing back is no limit to look at before a claim.
CREATE TABLE jobsim_guard (
    scope TEXT NOT NULL CHECK (scope = 'queue' OR scope = 'kind'),
    name TEXT NOT NULL,
    budget TEXT,
    breaker TEXT,
    tally TEXT,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;
