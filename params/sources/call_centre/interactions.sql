-- One row per call of the call list, answered or not. The agent reports give none (see source.yml).
SELECT
    call_id AS interaction_id,
    caller AS customer_id,
    started_at,
    ended_at,
    'support_phone' AS touchpoint,
    'phone' AS channel,
    'contact' AS kind,
    queue_seconds AS wait_seconds,  -- who hung up waited, too
    CASE WHEN answered = 'yes' THEN talk_seconds END AS handle_seconds,
    transferred = 'yes' AS transferred,
    agent AS agent_id,
    sentiment,
    reason
FROM calls
