"""SLAs as people ask for them: what is open now, one order's with their whole life, and what is new."""
