-- What is wrong beneath the jobs: pages, indexes and constraints of our tables, and rows that were left behind.
SELECT tables.name || ': ' || found.integrity_check
FROM sqlite_schema AS tables, pragma_integrity_check(tables.name) AS found
WHERE tables.type = 'table' AND tables.name GLOB 'jobsim_*' AND found.integrity_check <> 'ok'
UNION ALL
SELECT tables.name || ': ' || count(*) || ' rows belong to no row of ' || found.parent
FROM sqlite_schema AS tables, pragma_foreign_key_check(tables.name) AS found
WHERE tables.type = 'table' AND tables.name GLOB 'jobsim_*'
GROUP BY tables.name, found.parent
