-- external_id is the field that Zendesk keeps for the id of another system: here, the customer number of our own.
-- ADAPT: if yours holds something else (an e-mail, say), delete this file.
SELECT id AS source_id, external_id AS customer_id, updated_at AS _updated_at
FROM users
WHERE role = 'end-user' AND external_id IS NOT NULL
