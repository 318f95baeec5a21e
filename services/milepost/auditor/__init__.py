"""The independent check: the KPIs recomputed from the log, a canary through the whole path."""
