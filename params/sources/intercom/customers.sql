-- Users and leads. Name, e-mail, phone, place and IP stay behind.
-- ADAPT: where a CRM brings the customers, delete this file and keep identities.sql: two sources must not describe
-- one person.
SELECT
    id AS customer_id,
    created_at AS valid_from,
    created_at AS joined_on,
    updated_at AS _updated_at
FROM contacts
