"""A seeded city whose orders, couriers and customers write events, and the truth about what happened in it."""
