DELETE FROM jobsim.guard
WHERE (scope, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))
