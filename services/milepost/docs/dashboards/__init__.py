"""The Grafana dashboards as code: panels composed of the KPI catalogue, the metrics and the SLA policies' goals."""
