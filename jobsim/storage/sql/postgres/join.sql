-- Begins what is written within a transaction of others, of which no setting is changed but the one without
-- which a commit may be lost; see prelude.sql.
SELECT version,
       CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END,
       pg_advisory_xact_lock_shared($1::bigint),
       pg_advisory_xact_lock_shared($1::int, (last_value & 1073741823)::int)
FROM jobsim.event_seq, jobsim.jobsim_schema
