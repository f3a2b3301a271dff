-- A person is customer_unique_id; customer_id is made anew for every order and carries the address of that order.
-- A row begins with a purchase whose state differs from that of the purchase before.
WITH purchases AS (
    SELECT c.customer_unique_id, c.customer_state, o.order_purchase_timestamp, o.order_id
    FROM customers c LEFT JOIN orders o USING (customer_id)
), changes AS (
    SELECT *,
        lag(customer_state) OVER person AS state_before,
        row_number() OVER person AS purchase,
        min(order_purchase_timestamp) OVER (PARTITION BY customer_unique_id) AS first_purchase
    FROM purchases
    WINDOW person AS (PARTITION BY customer_unique_id ORDER BY order_purchase_timestamp, order_id)
)
SELECT
    customer_unique_id AS customer_id,
    order_purchase_timestamp AS valid_from,
    first_purchase AS joined_on,
    customer_state AS region
FROM changes
WHERE purchase = 1 OR state_before IS DISTINCT FROM customer_state
