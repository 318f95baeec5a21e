"""The read API, and a page to look at: KPIs and orders over HTTP, from the same queries as the command."""
