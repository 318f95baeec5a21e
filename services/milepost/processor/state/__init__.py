"""A partition's state in memory and as rows: orders, KPI cells, ledger."""
