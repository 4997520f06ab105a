-- Which of some ids are jobs'.
SELECT uuid_send(uuid) FROM jobsim.content WHERE uuid = ANY ($1::uuid[])
