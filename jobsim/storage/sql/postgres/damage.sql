-- What is wrong beneath the jobs: rows that were left behind.
SELECT 'event: ' || count(*) || ' rows belong to no row of content'
FROM jobsim.event
WHERE NOT EXISTS (SELECT FROM jobsim.content WHERE content.job = event.job)
HAVING count(*) > 0
