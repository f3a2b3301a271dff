-- Google Forms gives an answer no id, so one is made of what it says: the second on the clock, the e-mail address
-- where the form asks for it, the question, score and comment. Answers that are equal in all of that are numbered
-- within their file. So the same answer has the same id in every export, however that writes its timestamp, and two
-- people who say the same in one second stay two. Questions with checkboxes must stay out of the id: a Sheet joins what
-- was ticked with ", " and Forms with ";". An answer edited in the form has a new timestamp and so a new id, and so
-- have answers to a question whose `scores` you change: with full_extract: [responses] in source.yml, and whole exports
-- only, the old ones go.
-- An e-mail address is never stored: its fingerprint stands for the person, and `identities` can map it to a customer.
WITH given AS (
    -- "<file>_scores placed" is <file>_scores with the columns _file and _row.
    SELECT * FROM "sheet_scores placed"
    UNION ALL BY NAME
    SELECT * FROM "workbook_scores placed"
    UNION ALL BY NAME
    SELECT * REPLACE (
        coalesce(
            -- GMT+2 becomes GMT+02, and GMT+5:30 becomes GMT+05:30.
            try_strptime(
                regexp_replace("Timestamp", 'GMT([+-])(\d)(:|$)', 'GMT\10\2\3'), '%Y/%m/%d %I:%M:%S %p GMT%z'
            ),
            try_strptime("Timestamp", '%Y/%m/%d %I:%M:%S %p %Z')  -- GMT, EST
        ) AS "Timestamp"
    )
    FROM "download_scores placed"
    UNION ALL BY NAME
    SELECT NULL::VARCHAR AS "Email Address" WHERE false  -- forms that do not ask for it lack the column
), known AS (
    SELECT *,
        -- What the Sheet's clock showed. In the hour that comes twice a Sheet cannot say which of the two it was: the
        -- second is meant, in every export, so that none contradicts another.
        timezone(getvariable('timezone'), "Timestamp"::TIMESTAMPTZ) AS clock,
        sha256(lower(nullif(trim("Email Address"), ''))) AS person,
        md5(concat_ws(
            '|',
            strftime(clock, '%Y-%m-%d %H:%M:%S'), coalesce(person, ''),
            q_name, coalesce(q_score, ''), coalesce(q_comment, '')
        )) AS fingerprint
    FROM given
)
SELECT
    fingerprint || '-' || row_number() OVER (PARTITION BY _file, fingerprint ORDER BY _row) AS response_id,
    clock AS responded_at,
    q_instrument AS instrument,
    q_score AS score,
    person AS customer_id,
    q_name AS question,
    q_touchpoint AS touchpoint,
    q_comment AS comment
FROM known
