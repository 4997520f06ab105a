SELECT * FROM jobsim.whole_job WHERE id = (SELECT job FROM jobsim.content WHERE uuid = $1::uuid)
