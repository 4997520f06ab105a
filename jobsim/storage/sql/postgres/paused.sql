SELECT queue FROM jobsim.paused
