"""The audit of the SLA policies: every version that was ever applied, by whom, why, and the file itself."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from milepost.policies.record import AppliedPolicies
from milepost.store import tables
from milepost.store.client import Store

_ROWS = """
SELECT version, applied_at, applied_by, digest, document, comment FROM sla_policies_store FINAL
WHERE {version:UInt32} IN (0, version)
ORDER BY version
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Audited:
    """One application, and why it was done, in the words of who did it."""

    applied: AppliedPolicies
    comment: str


def history(store: Store, version: int = 0) -> list[Audited]:
    """What was applied, the first first; with a ``version`` that alone. Raises ``StoreError``."""
    return [
        Audited(AppliedPolicies(number, _EPOCH + at * _MICROSECOND, by, digest, document), comment)
        for number, at, by, digest, document, comment in store.query(_ROWS, {"version": version})
    ]


def keep(store: Store, audited: Audited) -> None:
    """Add to the audit. Raises ``StoreError``."""
    applied = audited.applied
    at = (applied.applied_at - _EPOCH) // _MICROSECOND
    row = (applied.version, at, applied.applied_by, applied.digest, audited.comment, applied.document)
    store.insert(tables.SLA_POLICIES, [row])
