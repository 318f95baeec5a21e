"""The feedback service: surveys asked for and answered."""
