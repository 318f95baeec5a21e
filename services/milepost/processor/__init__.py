"""The processor: events from the lifecycle topic in, order state and KPI minutes out.

An event's way, in order: ``transport`` (a chunk of records of one partition) → ``agent`` (decodes, bounds what waits) →
``intake`` (record → fact, or dead letter) → ``flush`` (folds touched orders, adds the differences to KPI cells) →
``sink`` (ClickHouse, in the order that makes a crash harmless) → offsets. ``recovery`` brings a partition's state back.
"""
