-- running -> running, under a longer lease
UPDATE job SET lease_until = ?1 WHERE id IN carray(?2)
