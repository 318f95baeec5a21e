"""Lives made by hand."""

import pytest
from handmade import Life


@pytest.fixture
def life() -> Life:
    """A life with nothing in it yet."""
    return Life()


@pytest.fixture
def lives() -> type[Life]:
    """For tests that need several."""
    return Life
