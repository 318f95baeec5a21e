"""Putting SLA policies in force: first the audit, then the topic, so that nothing ever holds that is not audited."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from milepost.bus import policy_topic
from milepost.policies.record import AppliedPolicies, digest_of
from milepost.settings import Settings
from milepost.store.client import Store
from milepost.store.migrations import lock
from milepost.store.policies import Audited, history, keep

_LOCK_SECONDS = 60.0

Deed = Literal["applied", "resumed", "audited", "unchanged"]
"""``resumed``: it was in the audit, and had not come as far as the topic. ``audited``: it held, and was missing in the
audit of this database."""


@dataclass(frozen=True)
class Application:
    """What was done (in a dry run: would be), what held before (None: no policies), and what holds now."""

    deed: Deed
    before: AppliedPolicies | None
    now: AppliedPolicies


def apply_policies(
    settings: Settings, store: Store, document: str, by: str, comment: str, *, dry_run: bool = False
) -> Application:
    """Put a checked ``document`` in force, as the version after every known one; the same again changes nothing.

    Ended between audit and topic, the same again finishes it under the version it had. One at a time: others wait.

    Raises:
        PolicyTopicError: the broker is away, or refuses; apply the same again.
        StoreError: ClickHouse is away, or refuses, or somebody else is at it; apply the same again.
    """
    if dry_run:
        return _planned(store, policy_topic.read(settings), document, by)
    with lock(store, _LOCK_SECONDS):
        planned = _planned(store, policy_topic.read(settings), document, by)
        if planned.deed in ("applied", "audited"):
            keep(store, Audited(planned.now, comment))
        if planned.deed in ("applied", "resumed"):
            policy_topic.publish(settings, planned.now)
    return planned


def _planned(store: Store, before: AppliedPolicies | None, document: str, by: str) -> Application:
    audit = history(store)
    last = audit[-1].applied if audit else None
    digest = digest_of(document)
    held = before.version if before else 0
    if before and before.digest == digest:
        known = any(one.applied.version == held and one.applied.digest == digest for one in audit)
        return Application("unchanged" if known else "audited", before, before)
    if last and last.digest == digest and last.version > held:
        return Application("resumed", before, last)
    version = max(held, last.version if last else 0) + 1
    return Application("applied", before, AppliedPolicies(version, datetime.now(UTC), by, digest, document))
