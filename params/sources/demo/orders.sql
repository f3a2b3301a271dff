-- The shop's export, and the orders that were typed in by hand. What may be badly typed stays text.
SELECT * REPLACE (amount::VARCHAR AS amount) FROM orders
UNION ALL BY NAME
SELECT * REPLACE (
    ordered_at::TIMESTAMP AS ordered_at,
    promised_at::TIMESTAMP AS promised_at,
    delivered_at::TIMESTAMP AS delivered_at,
    units::BIGINT AS units,
    cost::DECIMAL(18, 2) AS cost,
    discount::DECIMAL(18, 2) AS discount
) FROM orders_by_hand
