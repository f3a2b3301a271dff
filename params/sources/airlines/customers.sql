-- A CustomerID stands for one person and one airline: none of the 5,907 comes twice. The airline is the account, so
-- that answers can be cut by it. valid_from is the source's `as_of`.
SELECT CustomerID AS customer_id, Airline AS account_id FROM league
UNION ALL
SELECT CustomerID AS customer_id, Airline AS account_id FROM prep_air
