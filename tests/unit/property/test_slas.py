"""Whatever lives orders have, however little sense they make: they can be watched, foretold and learnt from."""

from hypothesis import given
from lives import Log, examples, logs

from milepost.domain import facts as f
from milepost.domain.order import fold
from milepost.domain.sla.policy import Policies, Policy
from milepost.domain.sla.prediction import Forecast, situation
from milepost.processor.arrival.intake import Taken, take
from milepost.processor.sla.watch import Watch

MINUTE = 60_000_000
LIMITS = Policy(
    "default",
    {},
    stages={"prepare": MINUTE, "assign": MINUTE, "collect": MINUTE, "transit": MINUTE, "door": MINUTE},
    silence=MINUTE,
)


@examples(400)
@given(logs())
def test_every_order_can_be_watched_and_learnt_from(log: Log) -> None:
    forecast = Forecast()
    watch = Watch(Policies(1, (LIMITS,)), forecast)
    watch.is_warm()
    known: dict[str, list[f.AnyFact]] = {}
    for records in log.records.values():
        for record in records:
            taken = take(record, "EUR")
            if not isinstance(taken, Taken) or taken.fact is None or not taken.in_orders:
                continue
            facts = known.setdefault(taken.subject, [])
            facts.append(taken.fact)
            order = fold(facts)
            # As if appended when it happened, so that it is fresh.
            now = max(fact.time for fact in facts)
            forecast.learn(order)
            deadline = order.promises.in_force.deadline if order.promises is not None else 0
            seen = situation(order, deadline) if deadline else None
            if seen is not None:
                chance, falls = forecast.chance(seen, now), forecast.falls_below(seen, 0.5, now)
                assert chance is None or 0.0 <= chance <= 1.0
                assert falls is None or now <= falls <= deadline
            if not watch.note(taken.subject, order, now, first=len(facts) == 1):
                watch.found(taken.subject, order, [], now)
            watch.tick(now, lambda _: False)
            for told in watch.take():
                assert told.order_id == taken.subject or told.step.at <= now
    watch.tick(1 << 60, lambda _: False)
    assert watch.failures == 0
