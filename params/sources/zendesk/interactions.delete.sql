-- Tickets that somebody deleted, spam mostly. The keys are enough.
SELECT id AS interaction_id FROM tickets WHERE status = 'deleted'
