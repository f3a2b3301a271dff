-- No valid_from: the source has `as_of`, which takes its place. Gender, age and services are attributes: declare
-- those that you want to cut by in workspace.yml and add them here.
SELECT
    customerID AS customer_id,
    getvariable('as_of') - to_months(tenure::INTEGER) AS joined_on,
    Contract AS plan
FROM customers
