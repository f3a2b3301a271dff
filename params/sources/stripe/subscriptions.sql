-- Paying subscriptions: they start when the trial ends, and one that ended within its trial never was one. To count
-- trials too, take started_on from start_date and the line `still on trial` out of source.yml.
-- ended_on is when it stopped (ended_at), the first day without it: Stripe's periods end where the next would begin.
-- canceled_at is when somebody clicked; with cancel_at_period_end the subscription then runs on for weeks, and may be
-- taken up again. Until ended_at is there, nothing has ended.
WITH items AS (
    SELECT id,
        sum(
            try_cast(item->>'$.price.unit_amount' AS BIGINT) * coalesce(try_cast(item->>'$.quantity' AS BIGINT), 1)
            / coalesce(try_cast(item->>'$.price.recurring.interval_count' AS BIGINT), 1)
            / CASE item->>'$.price.recurring.interval'
                WHEN 'month' THEN 1 WHEN 'year' THEN 12 WHEN 'week' THEN 12 / 52 WHEN 'day' THEN 12 / 365 END
        ) AS cents_a_month,
        string_agg(coalesce(item->>'$.price.nickname', item->>'$.price.product'), ' + ' ORDER BY item->>'$.id') AS plan,
        to_timestamp(max(try_cast(item->>'$.current_period_end' AS BIGINT))) AS period_end
    FROM (SELECT id, unnest(from_json(items->'$.data', '["JSON"]')) AS item FROM api)
    GROUP BY id
), both_ways AS (
    SELECT
        id,
        "Customer ID" AS customer_id,
        "Start Date (UTC)" AS began_at,
        "Trial End (UTC)" AS trial_end,
        "Ended At (UTC)" AS ended_at,
        "Current Period End (UTC)" AS period_end,
        "Cancellation Reason" AS end_reason,
        "Plan" AS plan,
        lower("Currency") AS currency,
        "Amount"::DECIMAL(18, 2) * coalesce("Quantity"::BIGINT, 1)
            / CASE "Interval"
                WHEN 'month' THEN 1 WHEN 'year' THEN 12 WHEN 'week' THEN 12 / 52 WHEN 'day' THEN 12 / 365 END
            AS monthly_amount
    FROM dashboard
    UNION ALL
    SELECT
        api.id, customer, start_date, trial_end, ended_at, period_end,
        -- what the customer chose from the list when leaving; else why Stripe ended it (payment_failed and others)
        coalesce(cancellation_details->>'$.feedback', cancellation_details->>'$.reason'),
        plan, currency,
        cents_a_month / 100  -- ADAPT: yen and other currencies without cents come whole
    FROM api LEFT JOIN items ON items.id = api.id
), one_each AS (
    -- exports that overlap: an end is for good, and the later period is the later state
    SELECT *,
        timezone(getvariable('timezone'), greatest(began_at, coalesce(trial_end, began_at)))::DATE AS started_on,
        timezone(getvariable('timezone'), ended_at)::DATE AS ended_on
    FROM both_ways
    QUALIFY row_number() OVER (
        PARTITION BY id ORDER BY ended_at DESC NULLS LAST, period_end DESC NULLS LAST, plan
    ) = 1
)
SELECT
    customer_id,
    started_on,
    -- Who starts two on one day is one subscriber with two plans, and has left when both have ended.
    CASE WHEN count(ended_on) = count(*) THEN max(ended_on) END AS ended_on,
    CASE WHEN count(ended_on) = count(*) THEN arg_max(end_reason, ended_on) END AS end_reason,
    string_agg(plan, ' + ' ORDER BY plan, id) AS plan,
    -- before discounts and taxes. ADAPT: another currency is no euro, and then there is no amount
    CASE WHEN bool_and(currency = 'eur') THEN sum(monthly_amount)::DECIMAL(18, 2) END AS monthly_amount
FROM one_each
WHERE ended_at IS NULL OR trial_end IS NULL OR ended_at > trial_end
GROUP BY customer_id, started_on
