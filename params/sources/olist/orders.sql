-- amount: what the items and their freight cost, in reais. An order without items (it was never shipped) counts what
-- was paid for it, and 0 without payments. Cancelled orders stay in: they were placed, and were not delivered.
-- An amount that cannot be read makes its order's amount missing, so that the order is refused instead of too small.
WITH lines AS (
    SELECT order_id, seller_id,
        try_cast(price AS DECIMAL(18, 2)) AS price, try_cast(freight_value AS DECIMAL(18, 2)) AS freight
    FROM items
), baskets AS (
    SELECT order_id, count(*) AS units, CASE WHEN count(price + freight) = count(*) THEN sum(price + freight) END AS amount
    FROM lines GROUP BY order_id
), partners AS (
    -- the seller with the largest item value; ties by id
    SELECT order_id, seller_id
    FROM (SELECT order_id, seller_id, sum(price) AS value FROM lines GROUP BY order_id, seller_id)
    QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY value DESC NULLS LAST, seller_id) = 1
), paid AS (
    SELECT order_id, sum(try_cast(payment_value AS DECIMAL(18, 2))) AS amount FROM payments GROUP BY order_id
)
SELECT
    o.order_id,
    c.customer_unique_id AS customer_id,
    o.order_purchase_timestamp AS ordered_at,
    CASE WHEN b.order_id IS NOT NULL THEN b.amount ELSE coalesce(p.amount, 0) END AS amount,
    coalesce(b.units, 0) AS units,
    o.order_estimated_delivery_date AS promised_at,
    CASE WHEN o.order_status IS DISTINCT FROM 'canceled' THEN o.order_delivered_customer_date END AS delivered_at,
    s.seller_id AS partner_id
FROM orders o
LEFT JOIN customers c USING (customer_id)
LEFT JOIN baskets b USING (order_id)
LEFT JOIN paid p USING (order_id)
LEFT JOIN partners s USING (order_id)
