-- Begins every transaction that writes, for itself alone: a proxy may give the next one another session.
-- A commit is durable, whatever the server was told. A queue's tables change faster than the planner's
-- statistics of them, so it is left no choice but the indexes, and need not think twice. Locks, and a client
-- that has gone, are waited for within bounds. The advisory lock tells readers of the log that events may be
-- under way which are numbered above the number it names. The other one is shared by all but those who
-- change the limits.
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true),
       set_config('enable_seqscan', 'off', true),
       set_config('enable_bitmapscan', 'off', true),
       set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true),
       set_config('jit', 'off', true),
       set_config('plan_cache_mode', 'force_generic_plan', true),
       set_config('lock_timeout', $1::text, true),
       set_config('idle_in_transaction_session_timeout', '60s', true),
       CASE WHEN $3::boolean THEN pg_advisory_xact_lock($2) ELSE pg_advisory_xact_lock_shared($2) END,
       pg_advisory_xact_lock_shared($2::int, (last_value & 1073741823)::int)
FROM jobsim.event_seq
