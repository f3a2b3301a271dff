-- One row for each answer to a question that `questions` in source.yml names; nothing here depends on the survey.
-- The customer is the External Data Reference of the contact list. Where there is only an e-mail address, its
-- fingerprint stands for the person: the address itself is never stored, and `identities` can map the fingerprint to a
-- customer. Names, IP addresses and coordinates are not taken at all.
-- An export holds answers only, no invitations: there is no invitations.sql, and so no response rate.
WITH given AS (
    SELECT *, RecordedDate AS told FROM answers_scores
    UNION ALL BY NAME
    -- It tells less of an answer (no channel, no language): where both layouts have one, the other counts.
    SELECT V1 AS ResponseId, V9::TIMESTAMPTZ AS RecordedDate, V9::TIMESTAMPTZ - INTERVAL 1 SECOND AS told,
        V4 AS ExternalReference, V5 AS RecipientEmail, q_name, q_instrument, q_touchpoint, q_score, q_comment
    FROM legacy_scores
    UNION ALL BY NAME
    -- Surveys with anonymised responses lack some of these columns: they count as empty.
    SELECT NULL::VARCHAR AS ExternalReference, NULL::VARCHAR AS RecipientEmail,
        NULL::VARCHAR AS DistributionChannel, NULL::VARCHAR AS UserLanguage
    WHERE false
)
SELECT
    ResponseId || ':' || q_name AS response_id,
    RecordedDate AS responded_at,
    q_instrument AS instrument,
    q_score AS score,
    coalesce(nullif(trim(ExternalReference), ''), sha256(lower(nullif(trim(RecipientEmail), '')))) AS customer_id,
    q_name AS question,
    q_touchpoint AS touchpoint,
    DistributionChannel AS channel,  -- anonymous (a link), email, sms, qr, ...
    lower(UserLanguage) AS language,
    q_comment AS comment,
    told AS _updated_at
FROM given
