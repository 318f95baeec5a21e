"""The cache of orders: what is stored is looked up, what never was is not."""

from milepost.processor.state.orders import OrderCache


def test_an_order_never_seen_needs_no_look_up() -> None:
    cache = OrderCache()
    assert cache.missing(["o1"]) == []
    assert cache.get("o1") is None


def test_every_stored_order_is_looked_up() -> None:
    stored = [f"o{number}" for number in range(5_000)]
    cache = OrderCache(stored, len(stored))
    assert cache.missing(stored) == stored


def test_few_others_are_looked_up_for_nothing() -> None:
    cache = OrderCache([f"o{number}" for number in range(5_000)], 5_000)
    assert len(cache.missing([f"x{number}" for number in range(5_000)])) < 250


def test_an_order_here_is_not_looked_up_and_one_forgotten_is() -> None:
    cache = OrderCache()
    for number in range(10):
        cache.put(f"o{number}", b"%d" % number)
    assert cache.missing(["o0", "o9"]) == []
    cache.evict(10)
    cache.put("o0", b"again")
    cache.evict(3)
    assert len(cache) == 3
    assert [cache.get(f"o{number}") for number in (0, 1, 7, 8, 9)] == [b"again", None, None, b"8", b"9"]
    assert cache.missing(["o0", "o1", "o7", "o8"]) == ["o1", "o7"]


def test_nothing_is_forgotten_where_there_is_room() -> None:
    cache = OrderCache()
    cache.put("o1", b"1")
    cache.evict(1)
    assert cache.get("o1") == b"1"
