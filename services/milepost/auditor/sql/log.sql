-- The log as it counts: each event once, up to where each partition stands, without tests and what was retracted.
-- A retraction counts wherever it lies, and cannot itself be retracted.
SELECT subject, source, id, time, type, data
FROM events_store FINAL
WHERE testmode = 0{subjects}
    AND offset < transform(partition, {{partitions:Array(UInt16)}}, {{cuts:Array(UInt64)}}, toUInt64(0))
    AND type IN ({{types:Array(String)}})
    AND (subject, source, id) NOT IN (
        SELECT
            subject,
            JSONExtractString(data, 'retracts', 'source'),
            JSONExtractString(data, 'retracts', 'id')
        FROM events_store FINAL
        WHERE type = 'milepost.event.retracted.v1' AND testmode = 0
            AND offset < transform(partition, {{partitions:Array(UInt16)}}, {{cuts:Array(UInt64)}}, toUInt64(0))
    )
