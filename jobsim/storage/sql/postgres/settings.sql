-- What a commit is worth here, the schema's version, and who listens in on the way.
SELECT version::text, current_setting('server_version'), current_setting('synchronous_commit'),
       current_setting('fsync'), current_setting('full_page_writes'),
       CASE WHEN inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1'
            THEN 'local'
            WHEN (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) THEN 'encrypted'
            ELSE 'plain' END
FROM jobsim.jobsim_schema
