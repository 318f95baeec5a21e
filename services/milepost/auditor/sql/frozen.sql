-- The last moment that an expired order counted at: what lies before is known from the KPI rows alone.
SELECT max(greatest(last_event_at, promised_until, deadline))
FROM orders_store FINAL
WHERE state = 'expired'
