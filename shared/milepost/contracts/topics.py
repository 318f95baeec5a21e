"""The Kafka topics: one definition each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A topic: what it carries, who writes it, who reads it."""

    name: str
    description: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    compacted: bool = False
    partitioned: bool = False
    """As many partitions as the installation decides, by the key of an order; else one."""


LIFECYCLE = Topic(
    name="milepost.lifecycle.v1",
    description="Every event of every order as a structured CloudEvent, keyed by its subject.",
    producers=("orders", "dispatch", "deliveries", "feedback", "costs"),
    consumers=("processor",),
    partitioned=True,
)
DEAD_LETTERS = Topic(
    name="milepost.dead-letters.v1",
    description="Records that could not be processed, as they came, with reason and origin in the headers.",
    producers=("processor",),
    consumers=(),
)
SLA = Topic(
    name="milepost.sla.v1",
    description="The life of each SLA as CloudEvents, keyed by order: at risk, eased, breached, resolved, withdrawn.",
    producers=("processor",),
    consumers=(),
    partitioned=True,
)
POLICIES = Topic(
    name="milepost.policies.v1",
    description="The SLA policies in force, one document, compacted; `milepost sla apply` writes it.",
    producers=("milepost sla apply",),
    consumers=("processor",),
    compacted=True,
)

TOPICS: tuple[Topic, ...] = (LIFECYCLE, DEAD_LETTERS, SLA, POLICIES)
