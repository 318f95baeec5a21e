"""The costs service: money spent on orders, routes, couriers and hubs."""
