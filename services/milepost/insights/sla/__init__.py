"""SLAs over HTTP: what is open, one order's, and a stream of what happens to them."""
