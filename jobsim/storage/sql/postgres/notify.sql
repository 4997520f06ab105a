-- Tells those who listen, once this transaction is committed, that there are jobs to look for.
SELECT pg_notify($1::text, '')
