"""The deliveries service: from the pick-up to the door, and what went wrong."""
