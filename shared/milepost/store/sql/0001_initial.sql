-- The first schema: storage tables (*_store) and the views people query.
-- Views resolve repetitions and versions; nobody needs FINAL to count rightly.

CREATE TABLE installation
(
    `name` String,
    `value` String
)
ENGINE = ReplacingMergeTree
ORDER BY name;

-- The log: every accepted event once. The first in the log wins, so precedence falls with the offset.
-- Partitioned by month of append, never by event time: one sender's old timestamps must not touch 100 partitions.
CREATE TABLE events_store
(
    `subject` String,
    `source` LowCardinality(String),
    `id` String,
    `type` LowCardinality(String),
    `time` Int64,
    `recorded` Int64,
    `appended` Int64,
    `partition` UInt16,
    `offset` UInt64,
    `precedence` UInt64,
    `testmode` UInt8,
    `digest` UInt64,
    `data` String
)
ENGINE = ReplacingMergeTree(precedence)
PARTITION BY toYYYYMM(fromUnixTimestamp64Micro(appended, 'UTC'))
ORDER BY (subject, source, id, testmode)
SETTINGS index_granularity = 1024;

-- Personal data, apart from all else, by event, so that it can be erased without changing a number.
CREATE TABLE personal_store
(
    `subject` String,
    `source` LowCardinality(String),
    `id` String,
    `customer_ref` String,
    `fields` String,
    `appended` Int64,
    `precedence` UInt64
)
ENGINE = ReplacingMergeTree(precedence)
ORDER BY (subject, source, id)
SETTINGS index_granularity = 1024;

-- One row per order: its state, and the facts it follows from. Small granules: rows are looked up by key.
CREATE TABLE orders_store
(
    `order_id` String,
    `partition` UInt16,
    `version` UInt64,
    `state` LowCardinality(String),
    `hub_id` LowCardinality(String),
    `zone_id` LowCardinality(String),
    `service_level` LowCardinality(String),
    `merchant_id` LowCardinality(String),
    `merchant_order_ref` String,
    `courier_id` LowCardinality(String),
    `placed_at` Int64,
    `promised_from` Int64,
    `promised_until` Int64,
    `deadline_from` Int64,
    `deadline` Int64,
    `agreed_until` Int64,
    `carrier_until` Int64,
    `promise_changes` UInt16,
    `ready_at` Int64,
    `assigned_at` Int64,
    `out_at` Int64,
    `eta` Int64,
    `first_arrived_at` Int64,
    `last_arrived_at` Int64,
    `first_attempt_at` Int64,
    `failed_attempts` UInt16,
    `delivered_at` Int64,
    `cancelled_at` Int64,
    `cancelled_by` LowCardinality(String),
    `closed_at` Int64,
    `returned` UInt8,
    `parcels` UInt16,
    `due` UInt8,
    `kept` UInt8,
    `in_full` Int8,
    `score` Int8,
    `nps` Int8,
    `cost` Int64,
    `last_event_at` Int64,
    `events` UInt32,
    `measures` Array(Int64),
    `facts` String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY order_id
SETTINGS index_granularity = 512;

-- Costs of routes, couriers and hubs: one row per cost, with the facts it follows from.
CREATE TABLE ledger_store
(
    `subject` String,
    `cost_id` String,
    `partition` UInt16,
    `version` UInt64,
    `hub_id` LowCardinality(String),
    `courier_id` LowCardinality(String),
    `component` LowCardinality(String),
    `activity` LowCardinality(String),
    `time` Int64,
    `amount` Int64,
    `counted` UInt8,
    `facts` String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (subject, cost_id)
SETTINGS index_granularity = 1024;

-- KPI minutes and their roll-ups: absolute values per partition. Not partitioned: an insert must be one part,
-- for the cut rows in it say that all of it is there. Costs lie apart from all else (component first in the key), as
-- two thirds of the rows are theirs. Hours have the hub alone: with every dimension they would be no fewer than the minutes.
CREATE TABLE kpi_store
(
    `grain` Enum8('cut' = 0, 'minute' = 1, 'hour' = 2, 'day' = 3, 'courier_day' = 4),
    `minute` DateTime('UTC'),
    `hub_id` LowCardinality(String),
    `zone_id` LowCardinality(String),
    `service_level` LowCardinality(String),
    `merchant_id` LowCardinality(String),
    `courier_id` LowCardinality(String),
    `component` LowCardinality(String),
    `activity` LowCardinality(String),
    `partition` UInt16,
    `version` UInt64,
    `delivered` Int64,
    `delivery_timed` Int64,
    `delivery_us` Int64,
    `on_time` Int64,
    `windowed` Int64,
    `early` Int64,
    `in_full_known` Int64,
    `in_full` Int64,
    `responded` Int64,
    `due` Int64,
    `kept` Int64,
    `repromised` Int64,
    `otif` Int64,
    `otif_unknown` Int64,
    `due_original` Int64,
    `kept_original` Int64,
    `attempted` Int64,
    `first_success` Int64,
    `tried` Int64,
    `not_attempted` Int64,
    `scored` Int64,
    `satisfied` Int64,
    `score_sum` Int64,
    `nps_answered` Int64,
    `promoters` Int64,
    `detractors` Int64,
    `closed` Int64,
    `cancelled` Int64,
    `returned` Int64,
    `cost` Int64,
    `prepare_timed` Int64,
    `prepare_us` Int64,
    `assign_timed` Int64,
    `assign_us` Int64,
    `collect_timed` Int64,
    `collect_us` Int64,
    `transit_timed` Int64,
    `transit_us` Int64,
    `reattempt_timed` Int64,
    `reattempt_us` Int64,
    `door_timed` Int64,
    `door_us` Int64,
    `hist_bucket` Array(UInt16),
    `hist_count` Array(Int64)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (grain, component, activity, minute, hub_id, zone_id, service_level, merchant_id, courier_id, partition)
SETTINGS index_granularity = 2048;

-- Records that could not be processed, as they came.
CREATE TABLE dead_letters_store
(
    `topic` LowCardinality(String),
    `partition` UInt16,
    `offset` UInt64,
    `appended` Int64,
    `reason` LowCardinality(String),
    `detail` String,
    `subject` String,
    `source` String,
    `id` String,
    `record_key` String,
    `record_value` String,
    `first_seen` Int64,
    `last_seen` Int64,
    `attempts` UInt32,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (topic, partition, offset);

-- How far each partition is.
CREATE TABLE progress_store
(
    `partition` UInt16,
    `next_offset` UInt64,
    `end_offset` UInt64,
    `applied_until` Int64,
    `event_time` Int64,
    `checked_at` Int64
)
ENGINE = ReplacingMergeTree(checked_at)
ORDER BY partition;

-- The life of each SLA; written by the alerting part.
CREATE TABLE sla_events_store
(
    `id` String,
    `order_id` String,
    `hub_id` LowCardinality(String),
    `rule` LowCardinality(String),
    `state` LowCardinality(String),
    `at` Int64,
    `detail` String,
    `partition` UInt16,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (order_id, rule, id);

CREATE VIEW events AS
SELECT
    s.subject AS subject,
    s.source AS source,
    s.id AS id,
    s.type AS type,
    fromUnixTimestamp64Micro(s.time, 'UTC') AS time,
    if(s.recorded = 0, NULL, fromUnixTimestamp64Micro(s.recorded, 'UTC')) AS recorded,
    fromUnixTimestamp64Micro(s.appended, 'UTC') AS appended,
    s.partition AS partition,
    s.offset AS offset,
    s.testmode AS testmode,
    s.digest AS digest,
    s.data AS data
FROM events_store AS s FINAL;

CREATE VIEW personal AS
SELECT
    s.subject AS subject,
    s.source AS source,
    s.id AS id,
    s.customer_ref AS customer_ref,
    s.fields AS fields,
    fromUnixTimestamp64Micro(s.appended, 'UTC') AS appended
FROM personal_store AS s FINAL;

CREATE VIEW orders AS
SELECT
    s.order_id AS order_id,
    s.partition AS partition,
    s.version AS version,
    s.state AS state,
    s.hub_id AS hub_id,
    s.zone_id AS zone_id,
    s.service_level AS service_level,
    s.merchant_id AS merchant_id,
    s.merchant_order_ref AS merchant_order_ref,
    s.courier_id AS courier_id,
    if(s.placed_at = 0, NULL, fromUnixTimestamp64Micro(s.placed_at, 'UTC')) AS placed_at,
    if(s.promised_from = 0, NULL, fromUnixTimestamp64Micro(s.promised_from, 'UTC')) AS promised_from,
    if(s.promised_until = 0, NULL, fromUnixTimestamp64Micro(s.promised_until, 'UTC')) AS promised_until,
    if(s.deadline_from = 0, NULL, fromUnixTimestamp64Micro(s.deadline_from, 'UTC')) AS deadline_from,
    if(s.deadline = 0, NULL, fromUnixTimestamp64Micro(s.deadline, 'UTC')) AS deadline,
    if(s.agreed_until = 0, NULL, fromUnixTimestamp64Micro(s.agreed_until, 'UTC')) AS agreed_until,
    if(s.carrier_until = 0, NULL, fromUnixTimestamp64Micro(s.carrier_until, 'UTC')) AS carrier_until,
    s.promise_changes AS promise_changes,
    if(s.ready_at = 0, NULL, fromUnixTimestamp64Micro(s.ready_at, 'UTC')) AS ready_at,
    if(s.assigned_at = 0, NULL, fromUnixTimestamp64Micro(s.assigned_at, 'UTC')) AS assigned_at,
    if(s.out_at = 0, NULL, fromUnixTimestamp64Micro(s.out_at, 'UTC')) AS out_at,
    if(s.eta = 0, NULL, fromUnixTimestamp64Micro(s.eta, 'UTC')) AS eta,
    if(s.first_arrived_at = 0, NULL, fromUnixTimestamp64Micro(s.first_arrived_at, 'UTC')) AS first_arrived_at,
    if(s.last_arrived_at = 0, NULL, fromUnixTimestamp64Micro(s.last_arrived_at, 'UTC')) AS last_arrived_at,
    if(s.first_attempt_at = 0, NULL, fromUnixTimestamp64Micro(s.first_attempt_at, 'UTC')) AS first_attempt_at,
    s.failed_attempts AS failed_attempts,
    if(s.delivered_at = 0, NULL, fromUnixTimestamp64Micro(s.delivered_at, 'UTC')) AS delivered_at,
    if(s.cancelled_at = 0, NULL, fromUnixTimestamp64Micro(s.cancelled_at, 'UTC')) AS cancelled_at,
    s.cancelled_by AS cancelled_by,
    if(s.closed_at = 0, NULL, fromUnixTimestamp64Micro(s.closed_at, 'UTC')) AS closed_at,
    s.returned AS returned,
    s.parcels AS parcels,
    s.due AS due,
    s.kept AS kept,
    if(s.in_full < 0, NULL, s.in_full) AS in_full,
    if(s.score < 0, NULL, s.score) AS score,
    if(s.nps < 0, NULL, s.nps) AS nps,
    s.cost / 10000 AS cost,
    if(s.last_event_at = 0, NULL, fromUnixTimestamp64Micro(s.last_event_at, 'UTC')) AS last_event_at,
    s.events AS events
FROM orders_store AS s FINAL;

CREATE VIEW ledger AS
SELECT
    s.subject AS subject,
    s.cost_id AS cost_id,
    s.partition AS partition,
    s.version AS version,
    s.hub_id AS hub_id,
    s.courier_id AS courier_id,
    s.component AS component,
    s.activity AS activity,
    fromUnixTimestamp64Micro(s.time, 'UTC') AS time,
    s.amount / 10000 AS amount
FROM ledger_store AS s FINAL
WHERE s.counted = 1;

CREATE VIEW dead_letters AS
SELECT
    s.topic AS topic,
    s.partition AS partition,
    s.offset AS offset,
    fromUnixTimestamp64Micro(s.appended, 'UTC') AS appended,
    s.reason AS reason,
    s.detail AS detail,
    s.subject AS subject,
    s.source AS source,
    s.id AS id,
    s.record_key AS record_key,
    s.record_value AS record_value,
    fromUnixTimestamp64Micro(s.first_seen, 'UTC') AS first_seen,
    fromUnixTimestamp64Micro(s.last_seen, 'UTC') AS last_seen,
    s.attempts AS attempts,
    s.version AS version
FROM dead_letters_store AS s FINAL;

CREATE VIEW sla_events AS
SELECT
    s.id AS id,
    s.order_id AS order_id,
    s.hub_id AS hub_id,
    s.rule AS rule,
    s.state AS state,
    fromUnixTimestamp64Micro(s.at, 'UTC') AS at,
    s.detail AS detail
FROM sla_events_store AS s FINAL;

CREATE VIEW progress AS
SELECT
    s.partition AS partition,
    s.next_offset AS next_offset,
    s.end_offset AS end_offset,
    if(s.applied_until = 0, NULL, fromUnixTimestamp64Micro(s.applied_until, 'UTC')) AS applied_until,
    if(s.event_time = 0, NULL, fromUnixTimestamp64Micro(s.event_time, 'UTC')) AS event_time,
    fromUnixTimestamp64Micro(s.checked_at, 'UTC') AS checked_at
FROM progress_store AS s FINAL;

CREATE VIEW kpi_minutes AS
SELECT
    s.minute AS minute,
    s.hub_id AS hub_id,
    s.zone_id AS zone_id,
    s.service_level AS service_level,
    s.merchant_id AS merchant_id,
    s.courier_id AS courier_id,
    s.component AS component,
    s.activity AS activity,
    s.partition AS partition,
    s.version AS version,
    s.delivered AS delivered,
    s.delivery_timed AS delivery_timed,
    s.delivery_us AS delivery_us,
    s.on_time AS on_time,
    s.windowed AS windowed,
    s.early AS early,
    s.in_full_known AS in_full_known,
    s.in_full AS in_full,
    s.responded AS responded,
    s.due AS due,
    s.kept AS kept,
    s.repromised AS repromised,
    s.otif AS otif,
    s.otif_unknown AS otif_unknown,
    s.due_original AS due_original,
    s.kept_original AS kept_original,
    s.attempted AS attempted,
    s.first_success AS first_success,
    s.tried AS tried,
    s.not_attempted AS not_attempted,
    s.scored AS scored,
    s.satisfied AS satisfied,
    s.score_sum AS score_sum,
    s.nps_answered AS nps_answered,
    s.promoters AS promoters,
    s.detractors AS detractors,
    s.closed AS closed,
    s.cancelled AS cancelled,
    s.returned AS returned,
    s.cost AS cost,
    s.prepare_timed AS prepare_timed,
    s.prepare_us AS prepare_us,
    s.assign_timed AS assign_timed,
    s.assign_us AS assign_us,
    s.collect_timed AS collect_timed,
    s.collect_us AS collect_us,
    s.transit_timed AS transit_timed,
    s.transit_us AS transit_us,
    s.reattempt_timed AS reattempt_timed,
    s.reattempt_us AS reattempt_us,
    s.door_timed AS door_timed,
    s.door_us AS door_us,
    s.hist_bucket AS hist_bucket,
    s.hist_count AS hist_count
FROM kpi_store AS s FINAL
WHERE s.grain = 'minute';

CREATE VIEW kpi_hours AS
SELECT
    s.minute AS minute,
    s.hub_id AS hub_id,
    s.component AS component,
    s.activity AS activity,
    s.partition AS partition,
    s.version AS version,
    s.delivered AS delivered,
    s.delivery_timed AS delivery_timed,
    s.delivery_us AS delivery_us,
    s.on_time AS on_time,
    s.windowed AS windowed,
    s.early AS early,
    s.in_full_known AS in_full_known,
    s.in_full AS in_full,
    s.responded AS responded,
    s.due AS due,
    s.kept AS kept,
    s.repromised AS repromised,
    s.otif AS otif,
    s.otif_unknown AS otif_unknown,
    s.due_original AS due_original,
    s.kept_original AS kept_original,
    s.attempted AS attempted,
    s.first_success AS first_success,
    s.tried AS tried,
    s.not_attempted AS not_attempted,
    s.scored AS scored,
    s.satisfied AS satisfied,
    s.score_sum AS score_sum,
    s.nps_answered AS nps_answered,
    s.promoters AS promoters,
    s.detractors AS detractors,
    s.closed AS closed,
    s.cancelled AS cancelled,
    s.returned AS returned,
    s.cost AS cost,
    s.prepare_timed AS prepare_timed,
    s.prepare_us AS prepare_us,
    s.assign_timed AS assign_timed,
    s.assign_us AS assign_us,
    s.collect_timed AS collect_timed,
    s.collect_us AS collect_us,
    s.transit_timed AS transit_timed,
    s.transit_us AS transit_us,
    s.reattempt_timed AS reattempt_timed,
    s.reattempt_us AS reattempt_us,
    s.door_timed AS door_timed,
    s.door_us AS door_us,
    s.hist_bucket AS hist_bucket,
    s.hist_count AS hist_count
FROM kpi_store AS s FINAL
WHERE s.grain = 'hour';

CREATE VIEW kpi_days AS
SELECT
    s.minute AS minute,
    s.hub_id AS hub_id,
    s.zone_id AS zone_id,
    s.service_level AS service_level,
    s.merchant_id AS merchant_id,
    s.component AS component,
    s.activity AS activity,
    s.partition AS partition,
    s.version AS version,
    s.delivered AS delivered,
    s.delivery_timed AS delivery_timed,
    s.delivery_us AS delivery_us,
    s.on_time AS on_time,
    s.windowed AS windowed,
    s.early AS early,
    s.in_full_known AS in_full_known,
    s.in_full AS in_full,
    s.responded AS responded,
    s.due AS due,
    s.kept AS kept,
    s.repromised AS repromised,
    s.otif AS otif,
    s.otif_unknown AS otif_unknown,
    s.due_original AS due_original,
    s.kept_original AS kept_original,
    s.attempted AS attempted,
    s.first_success AS first_success,
    s.tried AS tried,
    s.not_attempted AS not_attempted,
    s.scored AS scored,
    s.satisfied AS satisfied,
    s.score_sum AS score_sum,
    s.nps_answered AS nps_answered,
    s.promoters AS promoters,
    s.detractors AS detractors,
    s.closed AS closed,
    s.cancelled AS cancelled,
    s.returned AS returned,
    s.cost AS cost,
    s.prepare_timed AS prepare_timed,
    s.prepare_us AS prepare_us,
    s.assign_timed AS assign_timed,
    s.assign_us AS assign_us,
    s.collect_timed AS collect_timed,
    s.collect_us AS collect_us,
    s.transit_timed AS transit_timed,
    s.transit_us AS transit_us,
    s.reattempt_timed AS reattempt_timed,
    s.reattempt_us AS reattempt_us,
    s.door_timed AS door_timed,
    s.door_us AS door_us,
    s.hist_bucket AS hist_bucket,
    s.hist_count AS hist_count
FROM kpi_store AS s FINAL
WHERE s.grain = 'day';

CREATE VIEW kpi_courier_days AS
SELECT
    s.minute AS minute,
    s.hub_id AS hub_id,
    s.zone_id AS zone_id,
    s.service_level AS service_level,
    s.merchant_id AS merchant_id,
    s.courier_id AS courier_id,
    s.component AS component,
    s.activity AS activity,
    s.partition AS partition,
    s.version AS version,
    s.delivered AS delivered,
    s.delivery_timed AS delivery_timed,
    s.delivery_us AS delivery_us,
    s.on_time AS on_time,
    s.windowed AS windowed,
    s.early AS early,
    s.in_full_known AS in_full_known,
    s.in_full AS in_full,
    s.responded AS responded,
    s.due AS due,
    s.kept AS kept,
    s.repromised AS repromised,
    s.otif AS otif,
    s.otif_unknown AS otif_unknown,
    s.due_original AS due_original,
    s.kept_original AS kept_original,
    s.attempted AS attempted,
    s.first_success AS first_success,
    s.tried AS tried,
    s.not_attempted AS not_attempted,
    s.scored AS scored,
    s.satisfied AS satisfied,
    s.score_sum AS score_sum,
    s.nps_answered AS nps_answered,
    s.promoters AS promoters,
    s.detractors AS detractors,
    s.closed AS closed,
    s.cancelled AS cancelled,
    s.returned AS returned,
    s.cost AS cost,
    s.prepare_timed AS prepare_timed,
    s.prepare_us AS prepare_us,
    s.assign_timed AS assign_timed,
    s.assign_us AS assign_us,
    s.collect_timed AS collect_timed,
    s.collect_us AS collect_us,
    s.transit_timed AS transit_timed,
    s.transit_us AS transit_us,
    s.reattempt_timed AS reattempt_timed,
    s.reattempt_us AS reattempt_us,
    s.door_timed AS door_timed,
    s.door_us AS door_us,
    s.hist_bucket AS hist_bucket,
    s.hist_count AS hist_count
FROM kpi_store AS s FINAL
WHERE s.grain = 'courier_day';
