"""The pure domain: order state, promises, KPIs. Values in, values out; no I/O, no clock."""
