"""The processor: events from the lifecycle topic in, order state and KPI minutes out.

An event's way, folder by folder: ``arrival`` (a chunk of records of one partition; each a fact, or a dead letter) →
``engine`` (bounds what waits, one flush at a time) → ``writing`` (folds touched orders, adds the differences to KPI
cells, and writes them to ClickHouse in the order that makes a crash harmless) → offsets. What a partition keeps in
memory is in ``state``. Beside the flow is ``upkeep``: recovery, rebuilding, retention, and who else has written.
"""
