-- Counted back from the day of the cross-section: `tenure` is in whole months, so starts are too. Who left (Churn)
-- did so within the month that ends with as_of, and is taken to have stayed to its last day: the length of a
-- subscription is then its tenure, for those who left and for those who stayed.
SELECT
    customerID AS customer_id,
    getvariable('as_of') - to_months(tenure::INTEGER) AS started_on,
    CASE Churn WHEN 'Yes' THEN getvariable('as_of') END AS ended_on,
    Contract AS plan,
    MonthlyCharges AS monthly_amount
FROM customers
