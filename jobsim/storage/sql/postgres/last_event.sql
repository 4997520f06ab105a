SELECT last_value FROM jobsim.event_seq
