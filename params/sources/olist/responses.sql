-- One review id can stand for several orders, so the two together are the key. Dated by the answer. The export holds only
-- invitations that were answered; a response rate made of them would be 100 %, so there is no invitations.sql.
SELECT
    r.review_id || ':' || r.order_id AS response_id,
    r.review_answer_timestamp AS responded_at,
    'csat' AS instrument,
    r.review_score AS score,
    c.customer_unique_id AS customer_id,
    r.order_id,
    'delivery' AS touchpoint,
    'pt' AS language,
    nullif(concat_ws(E'\n', r.review_comment_title, r.review_comment_message), '') AS comment
FROM reviews r
LEFT JOIN orders o USING (order_id)
LEFT JOIN customers c USING (customer_id)
