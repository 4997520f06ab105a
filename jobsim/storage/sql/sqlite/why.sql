SELECT id FROM why WHERE outcome = ?1 AND reason = ?2
