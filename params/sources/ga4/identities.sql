-- ADAPT: user_id is what our own website gives Analytics once somebody has logged in: it must be the customer's id,
-- never an e-mail. The whole history of the device becomes theirs. A device on which several people logged in belongs
-- to nobody.
SELECT user_pseudo_id AS source_id, max(user_id) AS customer_id, max(event_timestamp) AS _updated_at
-- where nobody logged in at all, the column is missing
FROM (FROM events UNION ALL BY NAME SELECT NULL::VARCHAR AS user_id WHERE false)
WHERE user_id IS NOT NULL
GROUP BY user_pseudo_id
HAVING count(DISTINCT user_id) = 1
