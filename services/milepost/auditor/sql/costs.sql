-- One row a cost: what was recorded latest under a subject's cost_id.
SELECT
    subject,
    of_order,
    latest.1 AS moment,
    JSONExtract(
        latest.2,
        'Tuple(hub_id String, courier_id String, component String, activity String, amount String)'
    ) AS said,
    said.hub_id AS hub_id,
    '' AS zone_id,
    '' AS service_level,
    '' AS merchant_id,
    said.courier_id AS courier_id,
    said.component AS component,
    if(said.activity = '', 'delivery', said.activity) AS activity,
    toInt64(toDecimal64(said.amount, 4) * 10000) AS amount
FROM
(
    SELECT
        subject,
        JSONHas(data, 'order_id') AS of_order,
        JSONExtractString(data, 'cost_id') AS cost_id,
        argMax((time, data), (time, source, id)) AS latest
    FROM ({log})
    WHERE type = 'milepost.cost.recorded.v1'
    GROUP BY subject, of_order, cost_id
)
