-- One row per session: the event session_start, which Analytics sends once for each. A session is told by device and
-- ga_session_id together; ga_session_id alone is a second of the clock that many devices share.
-- Not built from the first and last event of a session: a session over midnight lies in two tables, and its row would
-- depend on which of them was ingested. So there is no ended_at.
-- The session is the device's; who that is say the identities.
WITH starts AS (
    SELECT user_pseudo_id, event_timestamp, platform,
        list_filter(
            from_json(event_params, '[{"key": "VARCHAR", "value": {"int_value": "VARCHAR"}}]'),
            lambda p: p.key = 'ga_session_id'
        )[1].value.int_value AS ga_session_id
    FROM events
    WHERE event_name = 'session_start'
)
SELECT
    user_pseudo_id || '.' || ga_session_id AS interaction_id,
    user_pseudo_id AS customer_id,
    event_timestamp AS started_at,
    CASE platform WHEN 'WEB' THEN 'website' ELSE 'mobile_app' END AS touchpoint,
    CASE platform WHEN 'WEB' THEN 'web' ELSE 'app' END AS channel,
    'visit' AS kind
FROM starts
