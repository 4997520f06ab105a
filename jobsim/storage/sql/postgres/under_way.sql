-- How far behind the given number the log may still grow: see prelude.sql, and `PostgresStorage.events`.
SELECT coalesce(max(lag), 0) FROM (
    SELECT ($1::bigint - objid::bigint) & 1073741823 AS lag FROM pg_locks
    WHERE locktype = 'advisory' AND classid = $2::oid AND objsubid = 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS writer
WHERE lag < 536870912
