SELECT ifnull(max(id), 0) FROM jobsim_job
