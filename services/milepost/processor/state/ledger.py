"""The costs of routes, couriers and hubs: a subject's facts, kept and written cost by cost.

Such a subject lives for years, so its facts are not one row: each ``cost_id`` is, and retractions are under "".
"""

from milepost.domain import facts as f


class Account:
    """All ledger facts of one subject (a route, a courier or a hub)."""

    def __init__(self) -> None:
        self._by_cost: dict[str, list[f.AnyFact]] = {}
        self._cost_of: dict[tuple[str, str], str] = {}
        self._digests: dict[tuple[str, str], int] = {}

    def digest_of(self, identity: tuple[str, str]) -> int | None:
        """The digest of the known event with this identity, None where there is none."""
        return self._digests.get(identity)

    def costs_touched_by(self, fact: f.AnyFact) -> set[str]:
        """The cost ids whose value ``fact`` may change once added; "" stands for the retractions' own row."""
        if isinstance(fact, f.CostRecorded):
            return {fact.cost_id}
        if isinstance(fact, f.Retracted) and fact.target in self._cost_of:
            return {"", self._cost_of[fact.target]}
        return {""}

    def add(self, fact: f.AnyFact) -> None:
        """Add a fact not known yet."""
        cost_id = fact.cost_id if isinstance(fact, f.CostRecorded) else ""
        self._digests[fact.identity] = fact.digest
        self._cost_of[fact.identity] = cost_id
        self._by_cost.setdefault(cost_id, []).append(fact)

    def before(self, offset: int) -> "Account":
        """The account as it was before the record at ``offset``."""
        earlier = Account()
        for facts in self._by_cost.values():
            for fact in facts:
                if fact.offset < offset:
                    earlier.add(fact)
        return earlier

    def cost_ids(self) -> list[str]:
        """Every cost the account has heard of."""
        return [cost_id for cost_id in self._by_cost if cost_id]

    def facts(self, cost_id: str) -> list[f.AnyFact]:
        """The facts kept under ``cost_id``."""
        return self._by_cost.get(cost_id, [])

    def current(self, cost_id: str) -> f.CostRecorded | None:
        """The record of ``cost_id`` that counts: the latest one not retracted."""
        latest: f.CostRecorded | None = None
        for fact in f.standing(self.facts(cost_id) + self.facts("")):
            if isinstance(fact, f.CostRecorded):
                latest = fact
        return latest
