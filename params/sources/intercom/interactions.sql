-- One row per conversation in which the customer wrote. Not taken: what was written (source.body and the parts of the
-- conversation): it holds names, addresses and numbers.
WITH told AS (
    SELECT *,
        to_timestamp(try_cast(statistics->>'$.first_contact_reply_at' AS BIGINT)) AS wrote_at,
        to_timestamp(try_cast(statistics->>'$.first_admin_reply_at' AS BIGINT)) AS answered_at,
        to_timestamp(try_cast(statistics->>'$.last_close_at' AS BIGINT)) AS closed_at,
        try_cast(statistics->>'$.count_reopens' AS BIGINT) AS reopenings,
        try_cast(statistics->>'$.count_assignments' AS BIGINT) AS assignments,
        source->>'$.type' AS way,
        list_sort(from_json(tags->'$.tags[*].name', '["VARCHAR"]')) AS labels
    -- older versions of the API do not have ai_agent_participated
    FROM (FROM conversations UNION ALL BY NAME SELECT NULL::VARCHAR AS ai_agent_participated WHERE false)
)
SELECT
    id AS interaction_id,
    contacts->>'$.contacts[0].id' AS customer_id,  -- of several people in a conversation, the one who began it
    -- A conversation that we began is a contact from the customer's first answer on.
    CASE WHEN (source->>'$.delivered_as') = 'customer_initiated' THEN created_at ELSE wrote_at END AS started_at,
    CASE WHEN state = 'closed' THEN closed_at END AS ended_at,
    CASE
        -- no person answered, but Fin took part. ADAPT if another bot answers for you
        WHEN answered_at IS NULL AND ai_agent_participated = 'true' THEN 'chatbot'
        WHEN way = 'email' THEN 'support_email'
        WHEN way IN ('phone_call', 'phone_switch') THEN 'support_phone'
        ELSE 'support_chat'
    END AS touchpoint,
    CASE
        WHEN way = 'email' THEN 'email' WHEN way IN ('phone_call', 'phone_switch') THEN 'phone' ELSE 'chat'
    END AS channel,
    'contact' AS kind,
    id AS case_id,
    -- Round the clock, as the customer waits. Intercom's own time_to_admin_reply leaves out the hours when you are
    -- closed: statistics->>'$.time_to_admin_reply', if that is what you promise.
    epoch(answered_at)::BIGINT - epoch(coalesce(wrote_at, created_at))::BIGINT AS wait_seconds,
    -- Snoozed is not closed. Any new message opens a conversation again, a thank-you too.
    state = 'closed' AND coalesce(reopenings, 0) = 0 AS resolved,
    assignments > 1 AS transferred,
    nullif(admin_assignee_id, '0') AS agent_id,
    nullif(array_to_string(labels, ', '), '') AS reason,  -- the tags. ADAPT: leave out those that are no reasons
    updated_at AS _updated_at
FROM told
