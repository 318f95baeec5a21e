"""Documents generated from the code's own definitions; `python -m milepost.docs` writes them."""
