-- Devices that turn out to be shared.
SELECT user_pseudo_id AS source_id
-- where nobody logged in at all, the column is missing
FROM (FROM events UNION ALL BY NAME SELECT NULL::VARCHAR AS user_id WHERE false)
WHERE user_id IS NOT NULL
GROUP BY user_pseudo_id
HAVING count(DISTINCT user_id) > 1
