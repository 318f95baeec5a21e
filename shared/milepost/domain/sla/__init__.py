"""SLAs: what is promised of an order and of a hub, how each promise lives, and how its end is foreseen. Pure."""
