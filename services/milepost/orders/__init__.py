"""The orders service: orders placed, promises changed, orders cancelled."""
