-- The life of each SLA, a row for every state it reaches. An SLA is an order, a rule, and the moment it counts from
-- (`base`: the deadline promised, the stage's start, the last that was heard). Nothing wrote the reserved table before.
DROP VIEW sla_events;
DROP TABLE sla_events_store;
CREATE TABLE sla_events_store
(
    `id` String,
    `order_id` String,
    `rule` LowCardinality(String),
    `base` Int64,
    `due` Int64,
    `state` LowCardinality(String),
    `rank` UInt8,
    `cause` LowCardinality(String),
    `at` Int64,
    `detected` Int64,
    `chance` Float64,
    `hub_id` LowCardinality(String),
    `zone_id` LowCardinality(String),
    `service_level` LowCardinality(String),
    `merchant_id` LowCardinality(String),
    `courier_id` LowCardinality(String),
    `policy_version` UInt32,
    `detail` String,
    `partition` UInt16,
    `version` UInt64,
    -- What was detected since a moment, asked for twice a second while somebody listens: older parts are not read.
    INDEX detected_range detected TYPE minmax GRANULARITY 16
)
ENGINE = ReplacingMergeTree(version)
-- By month of the moment that counts, the same for all of an SLA's states: what is open now is read without its history.
PARTITION BY toYYYYMM(fromUnixTimestamp64Micro(due, 'UTC'))
ORDER BY (order_id, rule, base, rank)
SETTINGS index_granularity = 1024;

CREATE VIEW sla_events AS
SELECT
    s.id AS id,
    s.order_id AS order_id,
    s.rule AS rule,
    fromUnixTimestamp64Micro(s.base, 'UTC') AS base,
    fromUnixTimestamp64Micro(s.due, 'UTC') AS due,
    s.state AS state,
    s.rank AS rank,
    s.cause AS cause,
    fromUnixTimestamp64Micro(s.at, 'UTC') AS at,
    fromUnixTimestamp64Micro(s.detected, 'UTC') AS detected,
    if(s.chance < 0, NULL, s.chance) AS chance,
    s.hub_id AS hub_id,
    s.zone_id AS zone_id,
    s.service_level AS service_level,
    s.merchant_id AS merchant_id,
    s.courier_id AS courier_id,
    s.policy_version AS policy_version,
    s.detail AS detail,
    s.partition AS partition
FROM sla_events_store AS s FINAL;

-- Where each SLA stands now: one row each, with the moments of its life.
CREATE VIEW sla_now AS
SELECT
    s.order_id AS order_id,
    s.rule AS rule,
    fromUnixTimestamp64Micro(s.base, 'UTC') AS base,
    fromUnixTimestamp64Micro(argMax(s.due, s.rank), 'UTC') AS due,
    argMax(s.state, s.rank) AS state,
    argMax(s.cause, s.rank) AS cause,
    fromUnixTimestamp64Micro(minIf(s.at, s.state = 'at_risk'), 'UTC') AS at_risk_at,
    fromUnixTimestamp64Micro(minIf(s.at, s.state = 'breached'), 'UTC') AS breached_at,
    fromUnixTimestamp64Micro(maxIf(s.at, s.state IN ('resolved', 'withdrawn')), 'UTC') AS ended_at,
    countIf(s.state = 'at_risk') AS warned,
    countIf(s.state = 'breached') AS breached,
    countIf(s.state = 'withdrawn') AS withdrawn,
    anyIf(s.chance, s.state = 'at_risk') AS risk_chance,
    anyIf(s.cause, s.state = 'breached') AS breach_cause,
    any(s.hub_id) AS hub_id,
    any(s.zone_id) AS zone_id,
    any(s.service_level) AS service_level,
    any(s.merchant_id) AS merchant_id,
    argMax(s.courier_id, s.rank) AS courier_id,
    max(s.policy_version) AS policy_version
FROM sla_events_store AS s FINAL
GROUP BY s.order_id, s.rule, s.base;

-- Every version of the policies that was ever applied, by whom: the audit of what was promised when.
CREATE TABLE sla_policies_store
(
    `version` UInt32,
    `applied_at` Int64,
    `applied_by` String,
    `digest` String,
    `comment` String,
    `document` String
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version;

CREATE VIEW sla_policies AS
SELECT
    s.version AS version,
    fromUnixTimestamp64Micro(s.applied_at, 'UTC') AS applied_at,
    s.applied_by AS applied_by,
    s.digest AS digest,
    s.comment AS comment,
    s.document AS document
FROM sla_policies_store AS s FINAL;

-- Who has taken note of an SLA that is at risk or breached: of that state, for a breach after a warning is news again.
CREATE TABLE sla_acks_store
(
    `order_id` String,
    `rule` LowCardinality(String),
    `base` Int64,
    `state` LowCardinality(String),
    `acknowledged_at` Int64,
    `acknowledged_by` String,
    `note` String
)
ENGINE = ReplacingMergeTree(acknowledged_at)
ORDER BY (order_id, rule, base, state)
SETTINGS index_granularity = 1024;

CREATE VIEW sla_acks AS
SELECT
    s.order_id AS order_id,
    s.rule AS rule,
    fromUnixTimestamp64Micro(s.base, 'UTC') AS base,
    s.state AS state,
    fromUnixTimestamp64Micro(s.acknowledged_at, 'UTC') AS acknowledged_at,
    s.acknowledged_by AS acknowledged_by,
    s.note AS note
FROM sla_acks_store AS s FINAL;
