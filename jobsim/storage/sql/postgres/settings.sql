-- What a commit is worth here, and the schema's version.
SELECT version::text, current_setting('server_version'), current_setting('synchronous_commit'),
       current_setting('fsync'), current_setting('full_page_writes')
FROM jobsim.jobsim_schema
