-- Quantiles of the delivery time are asked for much more often than those of the stages, and a row holds all of the
-- histograms: over 30 days of many orders, reading the others took four fifths of the time. So that of the deliveries
-- has columns of its own. ClickHouse makes them at every insert; rows that are there get them in the background.
ALTER TABLE kpi_store
    ADD COLUMN `delivery_bucket` Array(UInt16) MATERIALIZED arrayFilter(key -> key < 4096, hist_bucket),
    ADD COLUMN `delivery_count` Array(Int64) MATERIALIZED arrayFilter((n, key) -> key < 4096, hist_count, hist_bucket);
ALTER TABLE kpi_store MATERIALIZE COLUMN delivery_bucket, MATERIALIZE COLUMN delivery_count;

-- By hub and hour, as kpi_hub_hours has the sums: the running hour from its minutes, up to the last that has ended.
CREATE VIEW kpi_delivery_histograms AS
SELECT
    s.minute AS hour,
    s.hub_id AS hub_id,
    s.delivery_bucket AS bucket,
    s.delivery_count AS count
FROM kpi_store AS s FINAL
WHERE s.grain = 'hour' AND s.component = '' AND s.activity = '' AND s.minute < toStartOfHour(now('UTC'))
UNION ALL
SELECT
    toStartOfHour(s.minute) AS hour,
    s.hub_id AS hub_id,
    s.delivery_bucket AS bucket,
    s.delivery_count AS count
FROM kpi_store AS s FINAL
WHERE s.grain = 'minute' AND s.component = '' AND s.activity = ''
    AND s.minute >= toStartOfHour(now('UTC')) AND s.minute < toStartOfMinute(now('UTC'));
