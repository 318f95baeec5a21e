-- What an operator decided about a dead letter: `open`, `replayed` (tried again) or `dropped`, and why.
ALTER TABLE dead_letters_store ADD COLUMN `state` LowCardinality(String) DEFAULT 'open';
ALTER TABLE dead_letters_store ADD COLUMN `note` String;

-- Partitions that stopped because too much of what came failed; one row a partition, the latest decision counts.
CREATE TABLE pauses_store
(
    `partition` UInt16,
    `offset` UInt64,
    `reason` String,
    `paused_at` Int64,
    `resumed_at` Int64,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY partition;

-- Rebuilds asked for, and what became of them; one row a partition, the latest counts. From the offset
-- `complete_from` on the log is known to be complete; `orders_unlogged` have facts that the log does not have.
CREATE TABLE rebuilds_store
(
    `partition` UInt16,
    `requested_at` Int64,
    `complete_from` UInt64,
    `finished_at` Int64,
    `orders` UInt64,
    `orders_changed` UInt64,
    `orders_unlogged` UInt64,
    `minutes_changed` UInt64,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY partition;

-- Orders and other subjects whose personal data was erased: it stays so, whatever is read again.
CREATE TABLE erasures_store
(
    `subject` String,
    `erased_at` Int64
)
ENGINE = ReplacingMergeTree(erased_at)
ORDER BY subject;

DROP VIEW dead_letters;
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
    if(s.subject IN (SELECT subject FROM erasures_store) OR s.record_key IN (SELECT subject FROM erasures_store), '',
        s.record_value) AS record_value,
    fromUnixTimestamp64Micro(s.first_seen, 'UTC') AS first_seen,
    fromUnixTimestamp64Micro(s.last_seen, 'UTC') AS last_seen,
    s.attempts AS attempts,
    s.state AS state,
    s.note AS note,
    s.version AS version
FROM dead_letters_store AS s FINAL;

CREATE VIEW pauses AS
SELECT
    s.partition AS partition,
    s.offset AS offset,
    s.reason AS reason,
    fromUnixTimestamp64Micro(s.paused_at, 'UTC') AS paused_at,
    if(s.resumed_at = 0, NULL, fromUnixTimestamp64Micro(s.resumed_at, 'UTC')) AS resumed_at
FROM pauses_store AS s FINAL;

CREATE VIEW rebuilds AS
SELECT
    s.partition AS partition,
    fromUnixTimestamp64Micro(s.requested_at, 'UTC') AS requested_at,
    if(s.finished_at = 0, NULL, fromUnixTimestamp64Micro(s.finished_at, 'UTC')) AS finished_at,
    s.orders AS orders,
    s.orders_changed AS orders_changed,
    s.orders_unlogged AS orders_unlogged,
    s.minutes_changed AS minutes_changed
FROM rebuilds_store AS s FINAL;

CREATE VIEW erasures AS
SELECT
    s.subject AS subject,
    fromUnixTimestamp64Micro(s.erased_at, 'UTC') AS erased_at
FROM erasures_store AS s FINAL;

DROP VIEW personal;
CREATE VIEW personal AS
SELECT
    s.subject AS subject,
    s.source AS source,
    s.id AS id,
    s.customer_ref AS customer_ref,
    s.fields AS fields,
    fromUnixTimestamp64Micro(s.appended, 'UTC') AS appended
FROM personal_store AS s FINAL
WHERE s.subject NOT IN (SELECT subject FROM erasures_store);

-- An expired order has left: what is kept of it only says that it was there, and what it counted for.
DROP VIEW orders;
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
FROM orders_store AS s FINAL
WHERE s.state != 'expired';
