-- One row an order that is placed: its dimensions, what it counts for, and the moments at which it does.
WITH
    (m, named) -> if(named != '', named, arrayLast(h -> h.1 <= m, holders).4) AS courier_at,
    moment -> toUnixTimestamp64Micro(parseDateTime64BestEffortOrZero(moment, 6, 'UTC')) AS micros,
    JSONExtract(
        placements[1].4,
        'Tuple(hub_id String, zone_id String, service_level String, merchant_id String, promised_from String,
               promised_until String, lines Array(Tuple(sku String, quantity Int64)),
               parcels Array(Tuple(parcel_id String)), delivery_fee Tuple(amount String))'
    ) AS placed,
    placements[1].1 AS placed_at,

    -- Parcels: the first delivery of each counts; without declared ones there is a single one, of which all speak.
    placed.parcels.parcel_id AS declared,
    if(empty(declared), [''], declared) AS parcels,
    arrayMap(
        d -> (
            d.1,
            d.4,
            JSONHas(d.5, 'lines'),
            JSONExtract(d.5, 'lines', 'Array(Tuple(sku String, quantity Int64, damaged Bool))'),
            JSONExtract(d.5, 'parcel_ids', 'Array(String)')
        ),
        deliveries
    ) AS handed,
    arrayMap(
        w -> (w.1, w.2, w.3, JSONExtract(w.5, 'parcel_ids', 'Array(String)')),
        arrayFilter(w -> w.4 IN ('to_sender', ''), withdrawals)
    ) AS ends,
    arrayMap(
        p -> arrayFirstIndex(d -> empty(declared) OR empty(d.5) OR has(d.5, p), handed), parcels
    ) AS delivered_by,
    arrayMap(
        p -> arrayFirstIndex(e -> empty(declared) OR empty(e.4) OR has(e.4, p), ends), parcels
    ) AS ended_by,
    NOT has(delivered_by, 0) AS complete,
    NOT arrayExists((d, e) -> d = 0 AND e = 0, delivered_by, ended_by) AS over,
    arrayMax(delivered_by) AS last_delivery,
    -- By what each parcel's way was over, the earlier of the two; all are over with the latest of these.
    arrayMap(
        (d, e) -> arraySort(arrayConcat(
            if(d > 0, [(deliveries[d].1, deliveries[d].2, deliveries[d].3, deliveries[d].4)], []),
            if(e > 0, [(ends[e].1, ends[e].2, ends[e].3, '')], [])
        ))[1],
        delivered_by, ended_by
    ) AS ways,
    arrayReverseSort(if(over, ways, []))[1] AS ended,

    cancellations[1].1 AS called_off_at,
    complete AND NOT (called_off_at > 0 AND called_off_at < handed[last_delivery].1) AS delivered,
    if(delivered, handed[last_delivery].1, 0) AS delivered_at,
    if(delivered, handed[last_delivery].2, '') AS delivered_courier,
    called_off_at > 0 AND NOT delivered AS cancelled,
    cancelled AND cancellations[1].4 != 'carrier' AS called_off,
    arraySort(arrayConcat(
        if(over, [ended], []), if(cancelled, [(called_off_at, cancellations[1].2, cancellations[1].3, '')], [])
    ))[1] AS closing,
    closing.1 AS closed_at,

    -- In full: every ordered SKU over all parcels and lines, and nothing damaged.
    arrayMap(n -> handed[n], arrayDistinct(delivered_by)) AS counted,
    delivered AND arrayAll(d -> d.3, counted) AS in_full_known,
    arrayFlatten(arrayMap(d -> d.4, counted)) AS came,
    in_full_known AND NOT arrayExists(l -> l.3, came) AND arrayAll(
        s -> arraySum(l -> if(l.1 = s, l.2, 0), came) >= arraySum(l -> if(l.1 = s, l.2, 0), placed.lines),
        arrayDistinct(placed.lines.sku)
    ) AS in_full,

    -- Promises: what customer or merchant asked for in time moves the one in force.
    micros(placed.promised_until) AS original,
    arrayFold(
        (held, c) -> if(
            c.1 <= held.1 AND (NOT delivered OR c.1 < delivered_at), (c.2, c.3, c.4, toUInt8(1)), held
        ),
        arrayMap(
            c -> (
                c.1,
                micros(JSONExtractString(c.4, 'promised_until')),
                JSONHas(c.4, 'promised_from'),
                micros(JSONExtractString(c.4, 'promised_from'))
            ),
            arrayFilter(c -> JSONExtractString(c.4, 'requested_by') != 'carrier', changes)
        ),
        (original, toUInt8(placed.promised_from != ''), micros(placed.promised_from), toUInt8(0))
    ) AS promise,
    promise.1 AS deadline,
    promise.2 AS windowed,
    promise.3 AS opens,
    promise.4 AS moved,
    NOT (called_off AND called_off_at <= deadline) AS due,
    NOT (called_off AND called_off_at <= original) AS due_original,
    delivered AND delivered_at <= deadline AS kept,
    delivered AND delivered_at <= original AS kept_original,

    -- Attempts.
    arrayFilter(f -> f.5 NOT IN ('no_time', 'vehicle', 'weather'), failures) AS refusals,
    arraySort(arrayConcat(
        arrayMap(f -> (f.1, f.2, f.3, f.4, 0), refusals), arrayMap(d -> (d.1, d.2, d.3, d.4, 1), deliveries)
    )) AS attempts,
    arraySort(arrayConcat(
        arrayMap(f -> (f.1, f.2, f.3, f.4), failures), arrayMap(d -> (d.1, d.2, d.3, d.4), deliveries)
    )) AS tries,

    -- Answers: the latest that has one.
    arrayLast(a -> JSONHas(a.4, 'score'), answers) AS scored,
    JSONExtractInt(scored.4, 'score') AS score,
    arrayLast(a -> JSONHas(a.4, 'nps'), answers) AS rated,
    JSONExtractInt(rated.4, 'nps') AS nps,
    arrayLast(a -> notEmpty(JSONExtract(a.4, 'reasons', 'Array(String)')), answers) AS explained,
    arraySlice(arrayDistinct(JSONExtract(explained.4, 'reasons', 'Array(String)')), 1, 10) AS given,

    -- Stages: start and end; 0 is unknown.
    arrayMin(arrivals) AS first_arrived_at,
    arrayMax(arrivals) AS last_arrived_at,
    arrayMax(arrayFilter(a -> delivered AND a <= delivered_at, arrivals)) AS door_at,
    greatest(ready_at, assigned_at) AS ready_and_assigned_at,
    (ended, begun) -> if(begun > 0 AND ended >= begun, ended, 0) AS ends_at,

    arrayConcat([
        ('due', if(due, deadline, 0), ''),
        ('due_original', if(due_original, original, 0), ''),
        ('delivered', delivered_at, delivered_courier),
        ('attempted', attempts[1].1, attempts[1].4),
        ('tried', tries[1].1, tries[1].4),
        ('scored', scored.1, ''),
        ('nps', rated.1, ''),
        ('closed', closed_at, closing.4),
        ('prepare', ends_at(ready_at, placed_at), ''),
        (
            'assign',
            if(ready_at > 0 AND assigned_at > 0, ready_and_assigned_at, 0),
            if(assigned_at >= ready_at, assigned_by, '')
        ),
        ('collect', ends_at(out_at, ready_and_assigned_at), out_by),
        ('transit', ends_at(first_arrived_at, out_at), first_arrived_by),
        ('reattempt', ends_at(last_arrived_at, refusals[1].1), last_arrived_by),
        ('door', ends_at(delivered_at, door_at), delivered_courier)
    ],
    arrayMap(f -> (concat('reasons failed_attempt ', f.5), f.1, f.4), failures),
    arrayMap(r -> (concat('reasons feedback ', r), explained.1, ''), given)) AS moments
SELECT
    subject,
    placed.hub_id AS hub_id,
    placed.zone_id AS zone_id,
    placed.service_level AS service_level,
    placed.merchant_id AS merchant_id,
    arrayMap(
        m -> (m.1, m.2, {courier}), arrayFilter(m -> m.2 >= {{start:Int64}} AND m.2 < {{end:Int64}}, moments)
    ) AS counts_at,
    due, moved, kept, due_original, kept_original, in_full_known, in_full,
    delivered_at, delivered_at - placed_at AS delivery_us, deadline, windowed, opens,
    notEmpty(answers) AS responded,
    attempts[1].5 = 1 AS first_success,
    arrayExists(f -> f.5 IN ('no_time', 'vehicle', 'weather'), failures) AS not_attempted,
    score, nps, cancelled,
    arrayExists(w -> w.4 IN ('to_sender', 'after_delivery'), withdrawals) AS returned,
    ready_at - placed_at AS prepare_us,
    ready_and_assigned_at - ready_at AS assign_us,
    out_at - ready_and_assigned_at AS collect_us,
    first_arrived_at - out_at AS transit_us,
    last_arrived_at - refusals[1].1 AS reattempt_us,
    delivered_at - door_at AS door_us,
    placed.delivery_fee.amount != '' AS priced,
    toInt64(toDecimal64OrZero(placed.delivery_fee.amount, 4) * 10000) AS fee
FROM ({facts})
WHERE notEmpty(placements)
