"""Who writes a partition: so that the owner notices when another one does, and mends what that leaves.

A KPI row holds what its minute counts at a flush's end. One who was the owner and wakes late ends its flush elsewhere
in the log, and may write a minute that the present owner passes over: an order came into it and left it again within
one flush. Nothing would ever overwrite that row. So every writer has a cut row of its own, in one insert with its KPI
rows, which says besides what others had written when it took over. Where they have written since, the partition is
*disturbed*, and its KPI rows are rebuilt.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import xxhash

from milepost.domain.contributions import COUNTING
from milepost.store.client import Store

_WRITERS = """
SELECT partition, hub_id, zone_id, toUInt32OrZero(toString(service_level)) AS turn, max(version) FROM kpi_store
WHERE grain = 'cut' AND hub_id != '' AND partition IN {partitions:Array(UInt16)}
GROUP BY partition, hub_id, zone_id, turn
"""
UNSURE = "disturbed"
"""What a writer says it saw while the partition is not mended yet: no other will believe its rows."""


class Claim(NamedTuple):
    """A writer of a partition: its name, a digest of the cuts of all before it, and its place among them."""

    writer: str = ""
    seen: str = ""
    turn: int = 0


NOBODY = Claim()

Writers = Mapping[Claim, int]
"""Every writer of a partition, and how far it has written."""


def writers(store: Store, partitions: Sequence[int]) -> dict[int, dict[Claim, int]]:
    """By partition, all its writers, but for releases that did not name themselves."""
    found: dict[int, dict[Claim, int]] = {number: {} for number in partitions}
    for number, name, seen, turn, version in store.query(_WRITERS, {"partitions": list(partitions)}):
        found[number][Claim(name, seen, turn)] = version
    return found


def digest(written: Writers) -> str:
    """What tells these writers' cuts from any others, and the rules that we count by from any others."""
    text = "\n".join(sorted(f"{claim.writer} {version}" for claim, version in written.items()))
    return xxhash.xxh64_hexdigest(text.encode(), seed=COUNTING)


def is_disturbed(written: Writers) -> bool:
    """Whether somebody has written after another had taken over."""
    last = max((claim.turn for claim in written), default=0)
    latest = [claim for claim in written if claim.turn == last]
    if not written:
        return False
    before = {claim: version for claim, version in written.items() if claim.turn < last}
    return len(latest) > 1 or latest[0].seen != digest(before)


@dataclass
class Tenure:
    """The time a partition is in these hands: our claim, and how far all ``others`` had written when we last looked."""

    claim: Claim = NOBODY
    others: dict[Claim, int] = field(default_factory=dict)
    disturbed: bool = False
    _ours: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, written: Writers, cut: int = 0) -> "Tenure":
        """Take over from those who have written; ``cut`` is how far all of them came, also those without a name."""
        unnamed = cut > max(written.values(), default=0)
        tenure = cls(disturbed=unnamed or is_disturbed(written), others=dict(written))
        tenure._claim(written, UNSURE if tenure.disturbed else digest(written))
        return tenure

    def _claim(self, written: Writers, seen: str) -> None:
        turn = 1 + max((claim.turn for claim in written), default=0)
        self.claim = Claim(uuid.uuid4().hex, seen, turn)
        self._ours.add(self.claim.writer)

    def look(self, written: Writers) -> None:
        """Notice whether others have written since the last look."""
        others = self._of_others(written)
        if others != self.others:
            self.others, self.disturbed = others, True

    def mended(self, written: Writers, since: Writers) -> None:
        """The partition was rebuilt, from when others had written ``since``: it is sound, if they have not again."""
        self.look(written)
        if self.others == since:
            self.disturbed = False
            self._claim(written, digest(written))

    def _of_others(self, written: Writers) -> dict[Claim, int]:
        return {claim: version for claim, version in written.items() if claim.writer not in self._ours}
