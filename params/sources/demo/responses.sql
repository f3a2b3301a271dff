-- The survey tool's export, and the answers that were typed in by hand. What may be badly typed stays text.
SELECT * REPLACE (score::VARCHAR AS score) FROM responses
UNION ALL BY NAME
SELECT * REPLACE (responded_at::TIMESTAMP AS responded_at) FROM responses_by_hand
