-- Orders, and routes, couriers or hubs with costs, whose rows say something else than their events: all measures, over all
-- time. A row that is ahead of its partition's numbers belongs to a flush under way.
SELECT
    id,
    arrayResize(sumForEach(stored), {{width:UInt16}}) AS stored_sums,
    arrayResize(sumForEach(recomputed), {{width:UInt16}}) AS recomputed_sums
FROM
(
    SELECT 'order' AS kind, subject AS id, 0 AS ahead, emptyArrayInt64() AS stored, [{measures}] AS recomputed
    FROM ({orders})
    ARRAY JOIN counts_at AS moment
    GROUP BY subject
    UNION ALL
    SELECT if(of_order, 'order', 'ledger'), subject, 0, emptyArrayInt64(), [{cost}]
    FROM ({costs})
    GROUP BY subject, of_order
    UNION ALL
    SELECT 'order', order_id AS subject, version > {cut}, measures, emptyArrayInt64()
    FROM orders_store FINAL
    WHERE state != 'expired' AND {rows}
    UNION ALL
    SELECT 'ledger', subject, max(version > {cut}), [{amount}], emptyArrayInt64()
    FROM ledger_store FINAL
    WHERE counted = 1 AND {rows}
    GROUP BY subject
)
GROUP BY kind, id
HAVING max(ahead) = 0 AND stored_sums != recomputed_sums
ORDER BY id
