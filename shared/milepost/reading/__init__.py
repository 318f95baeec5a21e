"""Questions and answers: KPIs over any window, orders, and how fresh it all is; one set of queries for everybody."""
