-- Tells those who listen that there are jobs to look for, once the transaction is committed.
SELECT pg_notify($1::text, '')
