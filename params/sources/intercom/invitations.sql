-- A conversation with a rating object is one whose customer was asked: created_at is when, and the rating stays null
-- until the customer gives one.
SELECT
    id || ':rating' AS invitation_id,
    contacts->>'$.contacts[0].id' AS customer_id,
    to_timestamp(try_cast(conversation_rating->>'$.created_at' AS BIGINT)) AS sent_at,
    'csat' AS instrument,
    updated_at AS _updated_at
FROM conversations
WHERE (conversation_rating->>'$.created_at') IS NOT NULL
