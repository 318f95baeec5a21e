from milepost.simulator.draws import MILLISECOND, MINUTE, Draws, cumulate


def test_draws_are_fixed_by_the_seed_and_by_nothing_else() -> None:
    draws, again, other = Draws("one"), Draws("one"), Draws("two")
    first = [draws.below(1_000) for _ in range(5)]
    assert [again.below(1_000) for _ in range(5)] == first
    assert [other.below(1_000) for _ in range(5)] != first


def test_a_distribution_stays_between_its_ends_and_on_milliseconds() -> None:
    draws = Draws("durations")
    durations = [draws.minutes((1, 2, 4)) for _ in range(500)]
    assert min(durations) >= MINUTE
    assert max(durations) <= 4 * MINUTE
    assert all(duration % MILLISECOND == 0 for duration in durations)
    middle = sorted(durations)[250]
    assert 1.8 * MINUTE < middle < 2.2 * MINUTE


def test_weights_decide_how_often_each_is_drawn() -> None:
    draws = Draws("weights")
    drawn = [draws.weighted(cumulate((1, 0, 3))) for _ in range(2_000)]
    assert 1 not in drawn
    assert 0.70 < drawn.count(2) / 2_000 < 0.80


def test_an_empty_span_gives_its_beginning() -> None:
    assert Draws("span").between(5_000, 1_000) == 5_000
