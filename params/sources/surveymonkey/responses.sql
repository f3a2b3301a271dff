-- One row for each answer to a question that `questions` in source.yml names.
-- The customer is what the invitation carried as custom data. Where there is only an e-mail address, its fingerprint
-- stands for the person: the address itself is never stored, and `identities` can map the fingerprint to a customer.
-- Names and IP addresses are not taken at all. The export holds no invitations, so there is no invitations.sql.
WITH given AS (
    SELECT * FROM answers_scores
    UNION ALL BY NAME
    SELECT RespondentID AS "Respondent ID", CollectorID AS "Collector ID", StartDate::TIMESTAMPTZ AS "Start Date",
        EndDate::TIMESTAMPTZ AS "End Date", CustomData AS "Custom Data 1", "Email Address",
        q_name, q_instrument, q_touchpoint, q_score, q_comment
    FROM older_scores
    UNION ALL BY NAME
    -- Exports without personal data lack these columns: they count as empty.
    SELECT NULL::VARCHAR AS "Custom Data 1", NULL::VARCHAR AS "Email Address" WHERE false
)
SELECT
    "Respondent ID" || ':' || md5(q_name) AS response_id,  -- a question is known by its text: long, so its fingerprint
    coalesce("End Date", "Start Date") AS responded_at,
    q_instrument AS instrument,
    q_score AS score,
    coalesce(nullif(trim("Custom Data 1"), ''), sha256(lower(nullif(trim("Email Address"), '')))) AS customer_id,
    q_name AS question,
    q_touchpoint AS touchpoint,
    CASE "Collector ID"  -- ADAPT: a collector is a way that the survey went out
        WHEN '431008801' THEN 'email'
        WHEN '431008802' THEN 'web'
    END AS channel,
    q_comment AS comment
FROM given
