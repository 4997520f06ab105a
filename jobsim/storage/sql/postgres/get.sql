SELECT * FROM jobsim.full_job WHERE id = (SELECT job FROM jobsim.content WHERE uuid = $1::uuid)
