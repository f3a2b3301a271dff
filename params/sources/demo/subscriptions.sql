SELECT * FROM subscriptions
UNION ALL BY NAME
SELECT * REPLACE (
    started_on::DATE AS started_on,
    ended_on::DATE AS ended_on,
    monthly_amount::DECIMAL(18, 2) AS monthly_amount
) FROM subscriptions_by_hand
