"""A flush: what has arrived becomes rows, and the rows are written in the order that makes a crash harmless."""
