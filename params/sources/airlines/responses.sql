-- One answer a person. The id names the airline too: should a later file have a person rate two airlines, both answers
-- stay. responded_at is the source's `as_of`.
WITH given AS (
    SELECT * FROM league_scores
    UNION ALL
    SELECT * FROM prep_air_scores
)
SELECT
    CustomerID || ':' || Airline AS response_id,
    q_instrument AS instrument,
    q_score AS score,
    CustomerID AS customer_id,
    q_name AS question
FROM given
