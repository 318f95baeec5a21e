-- One row a cost of an order, with the dimensions it has from the order once that is placed, and the courier who had it.
WITH
    JSONExtract(
        placements[1].4, 'Tuple(zone_id String, service_level String, merchant_id String)'
    ) AS placed,
    arrayMap(c -> JSONExtractString(c.4, 'cost_id'), records) AS cost_ids
SELECT
    subject,
    1 AS of_order,
    latest.1 AS moment,
    JSONExtract(
        latest.4,
        'Tuple(hub_id String, courier_id String, component String, activity String, amount String)'
    ) AS said,
    said.hub_id AS hub_id,
    placed.zone_id AS zone_id,
    placed.service_level AS service_level,
    placed.merchant_id AS merchant_id,
    if(
        said.courier_id != '' OR empty(placements),
        said.courier_id,
        arrayLast(h -> h.1 <= moment, holders).4
    ) AS courier_id,
    said.component AS component,
    if(said.activity = '', 'delivery', said.activity) AS activity,
    toInt64(toDecimal64(said.amount, 4) * 10000) AS amount
FROM ({facts})
ARRAY JOIN
    arrayMap(
        k -> arrayLast(c -> JSONExtractString(c.4, 'cost_id') = k, records), arrayDistinct(cost_ids)
    ) AS latest
