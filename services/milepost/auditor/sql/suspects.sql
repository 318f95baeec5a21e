-- Besides those, subjects whose rows say that they count in the window: their events may be lost.
SELECT order_id
FROM orders_store FINAL
WHERE arrayExists(
    m -> m >= {since:Int64} AND m < {until:Int64},
    [
        placed_at, promised_until, deadline, ready_at, assigned_at, out_at, first_arrived_at, last_arrived_at,
        first_attempt_at, delivered_at, closed_at, last_event_at
    ]
)
UNION DISTINCT
SELECT subject
FROM ledger_store FINAL
WHERE time >= {since:Int64} AND time < {until:Int64}
