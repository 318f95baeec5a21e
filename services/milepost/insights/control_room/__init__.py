"""The control room: one page of KPIs for people, rendered here, with its way down to a hub and to an order."""
