-- Three steps of an order, told from its times: placing it, its payment being approved, its way with the carrier.
WITH steps AS (
    SELECT o.*, c.customer_unique_id,
        date_diff(
            'second', try_cast(order_purchase_timestamp AS TIMESTAMP), try_cast(order_approved_at AS TIMESTAMP)
        ) AS seconds_to_approval
    FROM orders o LEFT JOIN customers c USING (customer_id)
)
SELECT order_id || ':checkout' AS interaction_id, customer_unique_id AS customer_id,
    order_purchase_timestamp AS started_at, 'checkout' AS touchpoint, 'visit' AS kind,
    NULL AS ended_at, NULL AS wait_seconds, order_id AS case_id
FROM steps
UNION ALL
SELECT order_id || ':payment', customer_unique_id,
    order_purchase_timestamp, 'payment', 'billing',
    order_approved_at, seconds_to_approval, order_id
FROM steps WHERE order_approved_at IS NOT NULL
UNION ALL
SELECT order_id || ':delivery', customer_unique_id,
    order_delivered_carrier_date, 'delivery', 'visit',
    order_delivered_customer_date, NULL, order_id
FROM steps WHERE order_delivered_carrier_date IS NOT NULL
