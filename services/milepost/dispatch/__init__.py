"""The dispatch service: orders made ready, assigned to couriers, sent out."""
