SELECT * FROM jobsim.whole_job
WHERE id = ANY (ARRAY(SELECT job FROM jobsim.content WHERE uuid = ANY ($1::uuid[])))
