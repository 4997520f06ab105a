SELECT ifnull(max(seq), 0) FROM jobsim_event
