SELECT queue FROM jobsim_paused
