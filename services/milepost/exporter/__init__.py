"""ClickHouse → /metrics: exact KPI sums by hub and window for Prometheus."""
