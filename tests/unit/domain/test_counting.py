"""What orders count for, held to its version: stored KPI rows are only counted anew where the version says so."""

import hashlib
from datetime import UTC, datetime

from milepost.contracts.event import decode
from milepost.domain import facts as f
from milepost.domain.contributions import COUNTING, contributions
from milepost.domain.order import fold
from milepost.simulator.files import parse_moment
from milepost.simulator.simulation import Options, simulate

TAKEN = datetime(2026, 12, 1, tzinfo=UTC)


def test_who_changes_what_orders_count_for_raises_its_version() -> None:
    known: dict[str, list[f.AnyFact]] = {}
    options = Options(orders=400, seed="counting", start=parse_moment("2026-03-02T00:00:00Z"), conflicts=False)
    for offset, line in enumerate(simulate(options)):
        event = decode(line, "EUR", TAKEN)
        known.setdefault(event.subject, []).append(f.fact_of(event, offset, 0))
    counted = hashlib.sha256()
    for subject in sorted(known):
        cells = contributions(fold(known[subject]))
        counted.update(repr([(key, sorted(slots)) for key, slots in sorted(cells.items())]).encode())
    # A change to the simulated city changes the digest too; then the version may stay.
    assert (COUNTING, counted.hexdigest()) == (3, "31d6043837ee600e68c3dd68e037467d42c241b976fa5024be12abef99767506")
