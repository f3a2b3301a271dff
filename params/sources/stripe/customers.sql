-- Name, e-mail, address and card stay behind. ADAPT: where a CRM brings the customers, delete this file, and let an
-- identities.sql say who cus_... is: customers carry your own id in their metadata, exported as the column "<key>
-- (metadata)".
SELECT id AS customer_id, "Created (UTC)" AS valid_from, "Created (UTC)" AS joined_on
FROM customers
