-- The file has no order number: customer, day, units and amount are one, and where the same purchase stands there
-- several times, its count. Two baskets of one day stay two orders.
WITH words AS (
    SELECT string_split_regex(trim(line), '\s+') AS word FROM purchases
), read AS (
    SELECT word[1] AS customer_id, word[2] AS day, word[3] AS units, word[4] AS amount FROM words
)
SELECT
    concat_ws(':', customer_id, day, units, amount,
        row_number() OVER (PARTITION BY customer_id, day, units, amount)) AS order_id,
    customer_id,
    try_strptime(day, '%Y%m%d')::DATE AS ordered_at,
    units,
    amount
FROM read
