-- external_id is the id that our own systems gave the user (`user_id` in the Messenger's settings); leads have none.
SELECT id AS source_id, external_id AS customer_id, updated_at AS _updated_at
FROM contacts
WHERE external_id IS NOT NULL
