"""The campaign that attacks the promise: every event that got a 202 counts exactly once, whatever crashes."""
