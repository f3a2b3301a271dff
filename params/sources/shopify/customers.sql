-- The order export knows a buyer by e-mail alone. The e-mail itself is never stored: its SHA-256, in lower case and
-- without spaces, is the customer_id. The same rule on another tool's e-mails gives the same id, so the two can be
-- joined; who knows an e-mail can find its rows, so the store stays personal data.
-- A row for each order, with the country it went to: so the export of any month gives the same rows, whatever other
-- months were exported with it. The first order of a file is not the first of a person: there is no joined_on.
SELECT
    sha256(lower(trim("Email"))) AS customer_id,
    "Created at" AS valid_from,
    any_value("Shipping Country") AS region
FROM lines
WHERE "Created at" IS NOT NULL AND trim("Email") <> ''
GROUP BY 1, 2
