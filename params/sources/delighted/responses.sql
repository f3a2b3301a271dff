-- One row for each answer. A project of Delighted asks one question, which survey_type names: nps from 0 to 10, csat
-- from 1 to 5, ces from 1 to 7. ADAPT: a project whose satisfaction has 3 steps, or whose effort has 5, would pass for
-- one of these: keep its exports in a source of their own, and do not mix the scales.
-- The customer is the property that came with the person, else the id that Delighted gave the person, which
-- `identities` can map to a customer. Name, e-mail address and phone number are never stored.
WITH given AS (
    SELECT id, person, survey_type, score, comment, created_at, updated_at, person_properties FROM responses
    UNION ALL BY NAME
    SELECT id, person, survey_type, score, comment, created_at::TIMESTAMPTZ AS created_at,
        updated_at::TIMESTAMPTZ AS updated_at, person_properties
    FROM exported
)
SELECT
    id AS response_id,
    created_at AS responded_at,
    survey_type AS instrument,
    score,
    coalesce(
        json_extract_string(person_properties, '$.customer_id'),  -- ADAPT: the property that holds your own id
        -- with expand[]=person the person is an object with name and address, without it an id
        'delighted:' || CASE WHEN person LIKE '{%' THEN json_extract_string(person, '$.id') ELSE person END
    ) AS customer_id,
    CASE json_extract_string(person_properties, '$.purchase_experience')  -- ADAPT: the property that tells the place
        WHEN 'Retail Store' THEN 'store_visit'
        WHEN 'Online' THEN 'website'
        ELSE 'survey'
    END AS touchpoint,
    json_extract_string(person_properties, '$."Delighted Source"') AS channel,
    comment,
    coalesce(updated_at, created_at) AS _updated_at  -- a score that was changed later replaces the earlier one
FROM given
