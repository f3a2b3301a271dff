-- One row per ticket: a contact, from the moment it was made to the moment it was solved for good.
-- Not taken: subject, description and comments. They hold names, addresses and numbers.
WITH statuses AS (
    SELECT *, lag(status) OVER (PARTITION BY ticket_id ORDER BY updated) AS status_before
    FROM (SELECT DISTINCT ticket_id, updated, value AS status FROM history WHERE field_name = 'status')
), past AS (
    SELECT ticket_id,
        coalesce(max(updated) FILTER (status = 'solved'), min(updated) FILTER (status = 'closed')) AS solved_at,
        -- solved -> closed is what Zendesk does by itself some days later; any other way out of solved is a
        -- reopening, and a customer who only says thank you reopens too
        count(*) FILTER (status_before = 'solved' AND status NOT IN ('closed', 'deleted')) AS reopenings
    FROM statuses GROUP BY ticket_id
), owners AS (
    -- the first assignment is none; a second agent or a second group is a transfer
    SELECT ticket_id,
        count(DISTINCT value) FILTER (field_name = 'assignee_id') > 1
        OR count(DISTINCT value) FILTER (field_name = 'group_id') > 1 AS transferred
    FROM history WHERE field_name IN ('assignee_id', 'group_id') GROUP BY ticket_id
), ratings AS (
    SELECT ticket_id, arg_max(value, updated) AS rating
    FROM history WHERE field_name = 'satisfaction_score' AND value IN ('good', 'bad') GROUP BY ticket_id
), replies AS (
    -- Zendesk's own first reply time: from the ticket's creation to the first public comment by an agent after it,
    -- round the clock. The first comment of a ticket is the ticket itself, made in the same second.
    SELECT t.id AS ticket_id, min(c.created) AS first_reply_at
    FROM tickets t
    JOIN comments c ON c.ticket_id = t.id AND c.created > t.created_at AND lower(c.public) = 'true'
    JOIN users u ON u.id = c.user_id AND u.role IN ('agent', 'admin')
    GROUP BY t.id
), merged AS (
    -- a ticket that was merged into another one is closed unsolved; the other one names it in a list, as [1967]
    SELECT id, max(into_id) AS into_id
    FROM (SELECT unnest(regexp_extract_all(merged_ticket_ids, '\d+')) AS id, id AS into_id FROM tickets)
    GROUP BY id
)
SELECT
    t.id AS interaction_id,
    t.requester_id AS customer_id,
    t.created_at AS started_at,
    CASE WHEN t.status IN ('solved', 'closed') THEN p.solved_at END AS ended_at,
    CASE w.way WHEN 'email' THEN 'support_email' WHEN 'chat' THEN 'support_chat' WHEN 'phone' THEN 'support_phone'
        ELSE t.via_channel END AS touchpoint,  -- one that touchpoints.yml does not know is refused, with its name
    coalesce(w.way, t.via_channel) AS channel,
    'contact' AS kind,
    coalesce(m.into_id, t.id) AS case_id,  -- customers who write twice about one thing have one case
    epoch(r.first_reply_at)::BIGINT - epoch(t.created_at)::BIGINT AS wait_seconds,
    -- so far: a ticket that is open now is corrected by a later export
    t.status IN ('solved', 'closed') AND m.into_id IS NULL AND coalesce(p.reopenings, 0) = 0 AS resolved,
    o.transferred,  -- null where the history is not there
    t.assignee_id AS agent_id,
    -- question, incident, problem or task. ADAPT: better is your own field for the reason of a contact
    t.type AS reason,
    -- What the customer answered to "good or bad?". It is kept as that word: good and bad are not 5 and 1 of five.
    s.rating AS sentiment,
    t.updated_at AS _updated_at
FROM tickets t
LEFT JOIN past p ON p.ticket_id = t.id
LEFT JOIN owners o ON o.ticket_id = t.id
LEFT JOIN ratings s ON s.ticket_id = t.id
LEFT JOIN replies r ON r.ticket_id = t.id
LEFT JOIN merged m ON m.id = t.id
-- Whoever writes in a web form or in the app waits for an answer in writing, as by e-mail. Tickets that agents made
-- come as `web` too. ADAPT: add the channels that your account uses.
LEFT JOIN (VALUES
    ('email', 'email'), ('web', 'email'), ('web_widget', 'email'), ('mobile', 'email'), ('mobile_sdk', 'email'),
    ('api', 'email'), ('web_service', 'email'), ('closed_ticket', 'email'), ('help_center', 'email'),
    ('chat', 'chat'), ('native_messaging', 'chat'), ('messaging', 'chat'), ('whatsapp', 'chat'), ('sms', 'chat'),
    ('facebook', 'chat'), ('instagram_dm', 'chat'), ('twitter', 'chat'), ('line', 'chat'), ('telegram', 'chat'),
    ('voice', 'phone'), ('phone', 'phone'), ('voicemail', 'phone')
) AS w (via_channel, way) ON w.via_channel = t.via_channel
WHERE t.status <> 'deleted'
