-- The five faces that Intercom shows are the numbers 1 to 5, as csat asks. Dated by the rating's last change; where
-- an older version of the API does not tell it, by the moment of asking.
SELECT
    id || ':rating' AS response_id,
    id || ':rating' AS invitation_id,
    to_timestamp(try_cast(
        coalesce(conversation_rating->>'$.updated_at', conversation_rating->>'$.created_at') AS BIGINT
    )) AS responded_at,
    'csat' AS instrument,
    conversation_rating->>'$.rating' AS score,
    contacts->>'$.contacts[0].id' AS customer_id,
    'intercom_rating' AS question,
    conversation_rating->>'$.remark' AS comment,
    updated_at AS _updated_at
FROM conversations
WHERE (conversation_rating->>'$.rating') IS NOT NULL
