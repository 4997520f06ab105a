-- Schema 1. SQL decides nothing here: it holds what `core.transitions` and `core.decide` gave it, and
-- the CHECK constraints refuse what no code of ours can mean.
-- References are not enforced: that would cost a look at another table for every row.
-- Times and lengths of time are microseconds, times since the Unix epoch. "jobsim" stands for the schema's
-- own name. Texts are as `postgres_rows.stored` makes them.

CREATE TABLE jobsim.jobsim_schema (version bigint NOT NULL);
INSERT INTO jobsim.jobsim_schema VALUES (0);

-- The hot part of a job: each step writes it anew, and with it the indexes it is in, so it holds what changes
-- or puts jobs in order, and nothing else.
-- `ready` says where a waiting job stands: true it was due when last looked at, false its time is to come.
-- `last_error` is the event that holds the text. `lane` is what limits hold back together, '' where there is no
-- limit for the job. A `replaced` job has given its `unique_key` up.
CREATE TABLE jobsim.job (
    id bigint PRIMARY KEY,
    queue text COLLATE "C" NOT NULL,
    priority bigint NOT NULL,
    state text COLLATE "C" NOT NULL
        CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'dead_letter', 'cancelled')),
    ready boolean,
    replaced boolean NOT NULL DEFAULT false,
    lane text COLLATE "C" NOT NULL DEFAULT '',
    run_at bigint NOT NULL,
    attempt bigint NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts bigint NOT NULL,
    token bigint NOT NULL DEFAULT 0,
    enqueued bigint NOT NULL,
    attempted bigint,
    finished bigint,
    lease_until bigint,
    worker bigint,
    delay bigint NOT NULL DEFAULT 0 CHECK (delay >= 0),
    last_error bigint,
    unique_key text COLLATE "C",
    CHECK (attempt <= max_attempts),
    CHECK (attempt <= token),
    CHECK (ready IS NULL OR attempt < max_attempts),
    CHECK ((ready IS NOT NULL) = (state IN ('pending', 'failed'))),
    CHECK ((lease_until IS NOT NULL) = (state = 'running')),
    CHECK ((worker IS NOT NULL) = (state = 'running')),
    CHECK ((finished IS NOT NULL) = (state IN ('succeeded', 'dead_letter', 'cancelled')))
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1
);

-- Each index holds only the jobs it is for, so that neither those waiting for their time nor those
-- finished slow a claim.
CREATE INDEX job_ready ON jobsim.job (queue, lane, priority DESC, run_at, id) WHERE ready;
CREATE INDEX job_later ON jobsim.job (queue, run_at) WHERE NOT ready;
CREATE INDEX job_leased ON jobsim.job (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX job_limited ON jobsim.job (queue, lane) WHERE lane > '' AND lease_until IS NOT NULL;
CREATE UNIQUE INDEX job_key ON jobsim.job (unique_key)
    WHERE unique_key IS NOT NULL AND finished IS NULL AND NOT replaced;

-- What never changes of a job.
CREATE TABLE jobsim.content (
    job bigint PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    kind text COLLATE "C" NOT NULL,
    budget bigint NOT NULL CHECK (budget >= 1),
    created bigint NOT NULL,
    limit_key text COLLATE "C" NOT NULL,
    payload text COLLATE "C" NOT NULL
);

CREATE SEQUENCE jobsim.job_id;

CREATE TABLE jobsim.result (
    job bigint PRIMARY KEY,
    body text COLLATE "C" NOT NULL
);

-- The log: a row for everything that happened, written with the state it led to. An attempt is the row
-- of its claim and the row that ended it, both with its token.
CREATE SEQUENCE jobsim.event_seq MINVALUE 0;
SELECT setval('jobsim.event_seq', 0);

CREATE TABLE jobsim.event (
    seq bigint PRIMARY KEY DEFAULT nextval('jobsim.event_seq'),
    at bigint NOT NULL,
    job bigint NOT NULL,
    kind text COLLATE "C" NOT NULL
        CHECK (kind IN ('enqueue', 'claim', 'extend', 'succeed', 'retry', 'dead_letter', 'release',
                        'requeue', 'cancel', 'refuse')),
    attempt bigint NOT NULL,
    max_attempts bigint NOT NULL,
    token bigint NOT NULL,
    worker bigint,
    due bigint,
    why bigint,
    error text COLLATE "C"
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX event_job ON jobsim.event (job);

CREATE TABLE jobsim.worker (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE jobsim.why (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    outcome text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    UNIQUE (outcome, reason)
);
-- There from the beginning: made by a transaction of a user's own, it would have all workers wait for its end.
INSERT INTO jobsim.why (outcome, reason) VALUES ('cancelled', 'replaced');

-- Limits in force. `turn` is when the next attempt has its turn, where they begin at a rate.
CREATE TABLE jobsim.limits (
    name text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL CHECK (scope IN ('kind', 'queue')),
    running bigint,
    running_per_key bigint,
    starts bigint,
    per bigint,
    burst bigint,
    turn bigint,
    PRIMARY KEY (name, scope)
);

-- The lane of a job by the limits in force. See `postgres_rows.lane_of` for what separates kind and key.
CREATE FUNCTION jobsim.lane(queue text, kind text, limit_key text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM jobsim.limits WHERE (scope = 'queue' AND name = $1) OR (scope = 'kind' AND name = $2)
    ) THEN $2 || E'\x1a2' || $3 ELSE '' END
$$;

-- For reading: names in place of numbers.
CREATE VIEW jobsim.full_job AS
SELECT job.id, uuid_send(uuid) AS uuid, content.kind, queue, payload, state, job.attempt, job.max_attempts,
       budget, job.token, priority, run_at, created, enqueued, attempted, finished, lease_until,
       worker.name AS worker, delay, event.error AS last_error, result.body AS result,
       unique_key, replaced, limit_key
FROM jobsim.job
JOIN jobsim.content ON content.job = job.id
LEFT JOIN jobsim.result ON result.job = job.id
LEFT JOIN jobsim.worker ON worker.id = job.worker
LEFT JOIN jobsim.event ON event.seq = job.last_error;

CREATE VIEW jobsim.full_event AS
SELECT event.seq, at, uuid_send(content.uuid) AS uuid, event.kind, attempt, max_attempts, token,
       worker.name AS worker, due, why.outcome,
       CASE event.kind WHEN 'enqueue' THEN content.kind ELSE why.reason END AS reason, error, event.job
FROM jobsim.event
JOIN jobsim.content ON content.job = event.job
LEFT JOIN jobsim.worker ON worker.id = event.worker
LEFT JOIN jobsim.why ON why.id = event.why;
