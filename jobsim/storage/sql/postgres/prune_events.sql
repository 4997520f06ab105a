-- Removes the events of jobs that are no more. A statement of its own: it sees those of a refused settlement
-- for which the one before has waited.
DELETE FROM jobsim.event WHERE job = ANY ($1::bigint[])
