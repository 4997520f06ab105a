DELETE FROM jobsim.limits
WHERE (scope, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))
