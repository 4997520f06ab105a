-- The number of this transaction, by which its fate can be asked for; NULL where it has written nothing.
SELECT pg_current_xact_id_if_assigned()::text
