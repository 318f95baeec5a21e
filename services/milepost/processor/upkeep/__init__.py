"""Beside the flow: recovery, rebuilding, retention, and who else has written."""
