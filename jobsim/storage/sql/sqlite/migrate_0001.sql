-- Schema 1. SQL decides nothing here: it holds what `core.transitions` and `core.decide` gave it, and
-- the CHECK constraints refuse what no code of ours can mean, a flipped bit included. They avoid IN, for
-- which SQLite builds a table at every step, and name first what comes most often.
-- References are not enforced at run time; `PRAGMA foreign_key_check` looks for broken ones.
-- Times and lengths of time are microseconds, times since the Unix epoch.
-- All names begin with `jobsim_`, since an application's own tables may be in the same file.

CREATE TABLE jobsim_schema (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;

-- The hot part of a job: it is rewritten at every step, so what is long lives elsewhere.
-- `ready` says where a waiting job stands: 1 it was due when last looked at, 0 its time is to come.
-- `last_error` is the event that holds the text. `limited` says whether a limit is in force for the queue or
-- the kind of a job that is not final.
CREATE TABLE jobsim_job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid BLOB NOT NULL UNIQUE CHECK (length(uuid) = 16),
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    ready INTEGER CHECK (ready BETWEEN 0 AND 1),
    run_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts INTEGER NOT NULL CHECK (max_attempts <= 2147483647),
    budget INTEGER NOT NULL CHECK (budget >= 1),
    token INTEGER NOT NULL DEFAULT 0 CHECK (token >= 0),
    created INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    attempted INTEGER,
    finished INTEGER,
    lease_until INTEGER,
    worker INTEGER REFERENCES jobsim_worker,
    delay INTEGER NOT NULL DEFAULT 0 CHECK (delay >= 0),
    last_error INTEGER REFERENCES jobsim_event,
    unique_key TEXT,
    replaced INTEGER NOT NULL DEFAULT 0 CHECK (replaced BETWEEN 0 AND 1),
    limit_key TEXT NOT NULL DEFAULT '',
    limited INTEGER NOT NULL DEFAULT 0 CHECK (limited BETWEEN 0 AND 1),
    CHECK (attempt <= max_attempts),
    CHECK (attempt <= token),
    CHECK (
        CASE
            WHEN state = 'running' THEN
                ready IS NULL AND lease_until IS NOT NULL AND worker IS NOT NULL AND finished IS NULL
            WHEN state = 'succeeded' OR state = 'dead_letter' OR state = 'cancelled' THEN
                ready IS NULL AND lease_until IS NULL AND worker IS NULL AND finished IS NOT NULL
            WHEN state = 'pending' OR state = 'failed' THEN
                ready IS NOT NULL AND lease_until IS NULL AND worker IS NULL AND finished IS NULL
            ELSE 0
        END
    )
) STRICT;

-- Each index holds only the jobs it is for, so that neither those waiting for their time nor those
-- finished slow a claim. Equal rows of an index come in the order of `id`.
CREATE INDEX jobsim_job_ready ON jobsim_job (queue, priority DESC, run_at) WHERE ready = 1 AND limited = 0;
CREATE INDEX jobsim_job_later ON jobsim_job (queue, limited, run_at) WHERE ready = 0;
CREATE INDEX jobsim_job_leased ON jobsim_job (lease_until) WHERE lease_until IS NOT NULL;
CREATE UNIQUE INDEX jobsim_job_unique ON jobsim_job (unique_key)
WHERE unique_key IS NOT NULL AND finished IS NULL AND replaced = 0;

-- Those whom a limit may hold back stand in their order, and also lane by lane, so that a full lane is passed
-- by in one step.
CREATE INDEX jobsim_job_limited_urgent ON jobsim_job (queue, kind, priority DESC, run_at)
WHERE limited = 1 AND ready = 1;
CREATE INDEX jobsim_job_limited_ready ON jobsim_job (queue, kind, limit_key, priority DESC, run_at)
WHERE limited = 1 AND ready = 1;
CREATE INDEX jobsim_job_limited_later ON jobsim_job (queue, kind, limit_key, run_at)
WHERE limited = 1 AND ready = 0;
CREATE INDEX jobsim_job_limited_running ON jobsim_job (queue, kind, limit_key)
WHERE limited = 1 AND lease_until IS NOT NULL;

-- The limits in force, all that `core.limits.Limit` says; `turn` is when the rate lets the next one start.
CREATE TABLE jobsim_limit (
    scope TEXT NOT NULL CHECK (scope = 'queue' OR scope = 'kind'),
    name TEXT NOT NULL,
    running INTEGER,
    running_per_key INTEGER,
    starts INTEGER,
    per INTEGER,
    burst INTEGER,
    turn INTEGER,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobsim_payload (
    job INTEGER PRIMARY KEY REFERENCES jobsim_job,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE jobsim_result (
    job INTEGER PRIMARY KEY REFERENCES jobsim_job,
    body TEXT NOT NULL
) STRICT;

-- The log: a row for everything that happened, written with the state it led to. An attempt is the row
-- of its claim and the row that ended it, both with its token.
CREATE TABLE jobsim_event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    job INTEGER NOT NULL REFERENCES jobsim_job,
    kind TEXT NOT NULL CHECK (
        kind = 'claim' OR kind = 'succeed' OR kind = 'enqueue' OR kind = 'retry' OR kind = 'extend'
        OR kind = 'dead_letter' OR kind = 'release' OR kind = 'cancel' OR kind = 'requeue' OR kind = 'refuse'
    ),
    attempt INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    token INTEGER NOT NULL,
    worker INTEGER REFERENCES jobsim_worker,
    due INTEGER,
    why INTEGER REFERENCES jobsim_why,
    error TEXT
) STRICT;

CREATE INDEX jobsim_event_job ON jobsim_event (job);

CREATE TABLE jobsim_worker (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE jobsim_why (
    id INTEGER PRIMARY KEY,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (outcome, reason)
) STRICT;

-- For reading: names in place of numbers.
CREATE VIEW jobsim_full_job AS
SELECT job.id, uuid, job.kind, queue, payload.body AS payload, state, job.attempt, job.max_attempts,
       budget, job.token, priority, run_at, created, enqueued, attempted, finished, lease_until,
       worker.name AS worker, delay, event.error AS last_error, result.body AS result, unique_key, replaced,
       limit_key
FROM jobsim_job AS job
JOIN jobsim_payload AS payload ON payload.job = job.id
LEFT JOIN jobsim_result AS result ON result.job = job.id
LEFT JOIN jobsim_worker AS worker ON worker.id = job.worker
LEFT JOIN jobsim_event AS event ON event.seq = job.last_error;

CREATE VIEW jobsim_full_lease AS
SELECT job.id, uuid, kind, queue, attempt, max_attempts, budget, token, enqueued, delay, lease_until,
       worker.name AS worker, payload.body AS payload
FROM jobsim_job AS job
JOIN jobsim_payload AS payload ON payload.job = job.id
JOIN jobsim_worker AS worker ON worker.id = job.worker;

CREATE VIEW jobsim_full_event AS
SELECT event.seq, at, job.uuid, event.kind, event.attempt, event.max_attempts, event.token,
       worker.name AS worker, due, why.outcome, why.reason, error, event.job
FROM jobsim_event AS event
JOIN jobsim_job AS job ON job.id = event.job
LEFT JOIN jobsim_worker AS worker ON worker.id = event.worker
LEFT JOIN jobsim_why AS why ON why.id = event.why;
