"""What the open SLAs come to by hub, for people and for Prometheus."""

from datetime import datetime

from msgspec import Struct

from milepost.domain.sla.words import PROMISE, RULES
from milepost.reading.sla.asked import Wanted, asked, overdue_minutes
from milepost.store.client import Store


class HubSlas(Struct, frozen=True):
    """A hub's open SLAs: what is at risk, what is breached by rule, and how many orders, so customers, are hit.

    ``worst_overdue_minutes`` is None where nothing is breached.
    """

    hub_id: str
    orders: int
    at_risk: int
    breached: dict[str, int]
    unacknowledged: int
    worst_overdue_minutes: float | None

    @property
    def broken(self) -> int:
        """All that are breached."""
        return sum(self.breached.values())


def read_summary(store: Store, now: datetime, wanted: Wanted | None = None) -> list[HubSlas]:
    """The open SLAs that are ``wanted`` by hub, the one hit worst first. Raises ``StoreError``."""
    sql, where, parameters = asked(wanted or Wanted(), now)
    rows = store.query(
        f"""
        SELECT hub_id, uniqExact(order_id), countIf(risk), countIf(NOT known), minIf(due, NOT risk),
            sumMap(if(risk, map(), map(toString(rule), toUInt64(1))))
        FROM ({sql}) WHERE {where} GROUP BY hub_id
        """,
        parameters,
    )
    found = [
        HubSlas(
            hub_id=hub,
            orders=int(orders),
            at_risk=int(at_risk),
            breached={rule: int(by_rule[rule]) for rule in RULES if rule in by_rule},
            unacknowledged=int(unknown),
            worst_overdue_minutes=overdue_minutes(now, earliest) if by_rule else None,
        )
        for hub, orders, at_risk, unknown, earliest, by_rule in rows
    ]
    return sorted(found, key=lambda hub: (-hub.broken, -hub.at_risk, -(hub.worst_overdue_minutes or 0.0), hub.hub_id))


def read_hub_counts(store: Store, now: datetime) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """What the metrics count: orders by hub whose promise is at risk and not due yet, and orders by rule and hub that
    are breached. Raises ``StoreError``.
    """
    sql, where, parameters = asked(Wanted(), now)
    rows = store.query(
        f"""
        SELECT hub_id, rule, uniqExactIf(order_id, risk AND due > {{now:Int64}}), uniqExactIf(order_id, NOT risk)
        FROM ({sql}) WHERE {where} GROUP BY hub_id, rule
        """,
        parameters,
    )
    at_risk = {hub: int(count) for hub, rule, count, _ in rows if rule == PROMISE and count}
    return at_risk, {(rule, hub): int(count) for hub, rule, _, count in rows if count}
