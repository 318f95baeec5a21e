"""Who may call: API keys kept as hashes, and what each of them is allowed."""
