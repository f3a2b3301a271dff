-- Nothing is known of them but their first purchase.
SELECT
    string_split_regex(trim(line), '\s+')[1] AS customer_id,
    min(try_strptime(string_split_regex(trim(line), '\s+')[2], '%Y%m%d'))::DATE AS valid_from,
    min(try_strptime(string_split_regex(trim(line), '\s+')[2], '%Y%m%d'))::DATE AS joined_on
FROM purchases
GROUP BY 1
