-- The agent reports of both layouts as one table, a row per agent and month. Not a contract table, so `cx ingest`
-- does not run it: a notebook or a check does, over the files opened with cxlib.data.sources.open_source. sentiment
-- is a mean (-100 to 100) over an agent's calls: means of means weigh an agent of ten calls like one of a thousand,
-- so weigh it by `answered`.
SELECT
    regexp_extract(_file, '(\d+)\.csv$', 1)::INTEGER AS month,
    "AgentID" AS agent_id,
    coalesce("Offered", "Calls Offered")::BIGINT AS offered,
    coalesce("Not Answered", "Calls Not Answered")::BIGINT AS not_answered,
    coalesce("Answered", "Calls Answered")::BIGINT AS answered,
    "Total Duration"::BIGINT AS duration,  -- the file does not say of what: minutes, by its size
    "Sentiment"::BIGINT AS sentiment,
    "Transfers"::BIGINT AS transfers  -- null in the first four months: not counted then, which is not none
FROM (
    FROM "reports_1_to_4 placed" UNION ALL BY NAME
    FROM "reports_5_to_9 placed" UNION ALL BY NAME
    FROM "reports_10_to_12 placed"
)
