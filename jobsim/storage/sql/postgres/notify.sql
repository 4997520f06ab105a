-- Tells those who listen that there are jobs to look for; a transaction of its own, after the commit of what it
-- tells. All commits that notify come one after the other, and within the other's each would wait for the disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify($1::text, '')
