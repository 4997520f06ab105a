-- What became of a transaction: committed, aborted, or in progress, where it is given a moment.
SELECT status, CASE status WHEN 'in progress' THEN pg_sleep(0.02) END
FROM (SELECT pg_xact_status($1::xid8) OFFSET 0) AS transaction (status)
