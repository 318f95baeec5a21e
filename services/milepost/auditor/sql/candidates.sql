-- Subjects that may count in a window: every moment of an order is that of an event, or a promise.
SELECT subject
FROM events_store
WHERE testmode = 0 AND (
    (time >= {since:Int64} AND time < {until:Int64})
    OR (
        type IN ('milepost.order.placed.v1', 'milepost.order.promise_changed.v1')
        AND toUnixTimestamp64Micro(
            parseDateTime64BestEffortOrZero(JSONExtractString(data, 'promised_until'), 6, 'UTC')
        ) BETWEEN {since:Int64} AND {until:Int64}
    )
)
