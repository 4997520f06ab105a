-- Who holds unique keys.
SELECT unique_key, uuid_send(uuid) FROM unnest($1::text[]) AS asked (name)
CROSS JOIN LATERAL (
    SELECT id, unique_key FROM jobsim.job
    WHERE unique_key = asked.name AND unique_key IS NOT NULL AND finished IS NULL AND NOT replaced
    LIMIT 1
) AS holder
CROSS JOIN LATERAL (SELECT uuid FROM jobsim.content WHERE job = holder.id LIMIT 1) AS content
