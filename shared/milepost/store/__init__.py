"""ClickHouse: the client, the declared tables, the numbered migrations, the queries."""
