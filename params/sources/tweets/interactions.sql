-- One row for each reading of a tweet. A spreadsheet cut the ids (5.70306E+17), so an id is made of the whole row; rows
-- that are equal in everything, 39 of the 14,640, are numbered. The file has 14,485 tweets: some were read twice, and
-- not always labelled alike. The authors' names are not in it, so each row is its own customer; where an export has
-- them, write sha256(lower(name)) instead: a name is never stored. Handles, e-mail addresses and numbers are masked.
WITH counted AS (
    SELECT *,
        md5(concat_ws(
            '|', tweet_id, airline, text, strftime(timezone('UTC', tweet_created), '%Y-%m-%d %H:%M:%S'), retweet_count,
            airline_sentiment, airline_sentiment_confidence, coalesce(negativereason, ''),
            coalesce(negativereason_confidence, '')
        )) AS fingerprint,
        row_number() OVER (PARTITION BY fingerprint) AS occurrence,
        regexp_replace(text, '[\w.+-]+@[\w-]+(\.\w+)+', '(e-mail)', 'g') AS without_mail
    FROM tweets
)
SELECT
    fingerprint || '-' || occurrence AS interaction_id,
    interaction_id AS customer_id,
    tweet_created AS started_at,
    'social_post' AS touchpoint,
    CASE airline_sentiment WHEN 'negative' THEN 'complaint' ELSE 'message' END AS kind,
    'twitter' AS channel,
    airline AS partner_id,
    replace(replace(replace(
        regexp_replace(
            regexp_replace(without_mail, '@\w+', '@someone', 'g'),
            '\+?\(?\d[\d ().-]{6,}\d', '(number)', 'g'
        ),
        '&lt;', '<'), '&gt;', '>'), '&amp;', '&') AS transcript,
    airline_sentiment AS sentiment,
    negativereason AS reason
FROM counted
