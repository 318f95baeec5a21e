-- One row an order: its facts, gathered by kind. Where the order of facts matters they are sorted by
-- (time, source, id), with which their tuples begin.
SELECT
    subject,
    arraySort(groupArrayIf((time, source, id, data), type = 'milepost.order.placed.v1')) AS placements,
    arraySort(groupArrayIf((time, source, id, data), type = 'milepost.order.promise_changed.v1')) AS changes,
    arraySort(groupArrayIf((time, source, id, said), type = 'milepost.order.cancelled.v1')) AS cancellations,
    minIf(time, type = 'milepost.dispatch.ready.v1') AS ready_at,
    minIf(time, type = 'milepost.dispatch.assigned.v1') AS assigned_at,
    minIf(time, type IN ('milepost.delivery.picked_up.v1', 'milepost.dispatch.departed.v1')) AS out_at,
    groupArrayIf(time, type = 'milepost.delivery.arrived.v1') AS arrivals,
    arraySort(groupArrayIf(
        (time, source, id, courier_id, said), type = 'milepost.delivery.attempt_failed.v1'
    )) AS failures,
    arraySort(groupArrayIf((time, source, id, courier_id, data), type = 'milepost.delivery.delivered.v1')) AS deliveries,
    arraySort(groupArrayIf(
        (time, source, id, said, data), type IN ('milepost.delivery.returned.v1', 'milepost.delivery.lost.v1')
    )) AS withdrawals,
    arraySort(groupArrayIf((time, source, id, data), type = 'milepost.feedback.submitted.v1')) AS answers,
    {couriers},
    {records} AS records
FROM
(
    SELECT
        subject, source, id, time, type, data,
        if(
            type IN (
                'milepost.dispatch.assigned.v1',
                'milepost.delivery.picked_up.v1',
                'milepost.delivery.arrived.v1',
                'milepost.delivery.attempt_failed.v1',
                'milepost.delivery.delivered.v1'
            ),
            JSONExtractString(data, 'courier_id'),
            ''
        ) AS courier_id,
        multiIf(
            type = 'milepost.order.cancelled.v1', JSONExtractString(data, 'requested_by'),
            type = 'milepost.delivery.attempt_failed.v1', JSONExtractString(data, 'reason_code'),
            type = 'milepost.delivery.returned.v1', JSONExtractString(data, 'disposition'),
            ''
        ) AS said
    FROM ({log})
)
GROUP BY subject
