-- Rows of one order in one file belong together; where exports overlap, the file that knows most about an order
-- counts: refunds only grow, and cancelled or sent is for good. amount: `Total`, what the customer was asked to pay,
-- with taxes and shipping, after discounts. Refunds are not taken off (`average_order_value` says "before returns and
-- refunds"); for what remained write total - refunded. Cancelled orders stay in, as in every source here: they were
-- placed. Not taken: Fulfilled at. It is when the parcel left, not when it came, so there is no delivered_at and no
-- late order.
WITH parts AS (
    SELECT
        "Name" AS name, _file,
        any_value("Id") AS id, count(DISTINCT "Id") AS ids,
        any_value("Email") AS email, any_value("Created at") AS created_at,
        any_value("Currency") AS currency, any_value("Source") AS channel,
        any_value("Total") AS total, any_value("Discount Amount") AS discount,
        any_value("Refunded Amount") AS refunded, any_value("Fulfilled at") AS sent_at,
        any_value("Cancelled at") AS cancelled_at,
        sum("Lineitem quantity"::BIGINT) AS units
    FROM "lines placed"
    GROUP BY ALL
)
SELECT
    name AS order_id,
    sha256(lower(trim(email))) AS customer_id,  -- see customers.sql; null without an e-mail, and then refused
    created_at AS ordered_at,
    -- Two orders under one name (imported ones) would be one of twice the size, and dollars are no euros: without an
    -- amount the order is refused, and said.
    CASE WHEN ids <= 1 AND currency = 'EUR' THEN total END AS amount,
    units,
    discount,
    channel  -- web, pos, shopify_draft_order, or the number of the app that sold
FROM parts
QUALIFY row_number() OVER (
    PARTITION BY name
    ORDER BY refunded::DECIMAL(18, 2) DESC NULLS LAST, cancelled_at NULLS LAST, sent_at NULLS LAST, _file DESC
) = 1
