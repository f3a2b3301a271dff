-- Tools know some customers by an older id: `identities` says who they are, whenever the table is read.
SELECT source_id AS customer_id, * EXCLUDE (source_id) FROM interactions
UNION ALL BY NAME
SELECT * REPLACE (
    started_at::TIMESTAMP AS started_at,
    ended_at::TIMESTAMP AS ended_at,
    wait_seconds::BIGINT AS wait_seconds,
    handle_seconds::BIGINT AS handle_seconds,
    resolved::BOOLEAN AS resolved,
    transferred::BOOLEAN AS transferred,
    load_ms::BIGINT AS load_ms
) FROM interactions_by_hand
