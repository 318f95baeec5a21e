"""The read API: KPIs and orders over HTTP, from the same queries as the command."""
