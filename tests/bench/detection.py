"""How long after its moment a broken promise is known, under a steady load in which nothing happens to its order.

Every post carries, besides events of the city, one probe: an order placed now and promised for a few seconds later, of
which nothing more is heard. Its breach is timed where others see it: the append time of its message on the SLA
topic, and the moment from which the row could be read. The clock of the broker and ours are one.
"""

import random
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import msgspec
import uvloop
from kafka import KafkaConsumer, TopicPartition

from bench.edge import BATCHED
from bench.posting import post_on_schedule, quantile, request
from bench.stage import Stage
from bench.workload import placed_order
from milepost.contracts import topics
from milepost.settings import Service, Settings
from milepost.store.client import reader

POSTS_A_SECOND = 50
WARM_UP_SECONDS = 5
SHORTEST, LONGEST = 4.0, 10.0
"""Seconds from a probe's post to its deadline."""
PATIENCE_SECONDS = 30.0
PROBE = "probe-"

_BREACHES = "SELECT count() FROM sla_events_store WHERE state = 'breached' AND startsWith(order_id, 'probe-')"
_DETECTED = """
SELECT (min(detected) - min(due)) / 1e6 FROM sla_events_store
WHERE state = 'breached' AND rule = 'promise' AND startsWith(order_id, 'probe-') GROUP BY order_id
"""


def measure(stage: Stage, city: Path, seconds: int, events_a_second: int) -> dict[str, float]:
    """Post ``events_a_second`` for ``seconds``, and time the breaches of the probes among them."""
    settings = stage.database("detection")
    port = settings.port_of(Service.ORDERS)
    posts = (WARM_UP_SECONDS + seconds) * POSTS_A_SECOND
    others = events_a_second // POSTS_A_SECOND - 1
    with city.open("rb") as file:
        events = [line.rstrip(b"\n") for line in islice(file, posts * others)]
    with stage.service(Service.PROCESSOR, settings), stage.service(Service.ORDERS, settings):
        start = datetime.now(UTC) + timedelta(seconds=2)
        requests = [
            request(port, BATCHED, b"[" + b",".join([*events[n * others : (n + 1) * others], probe(n, start)]) + b"]")
            for n in range(posts)
        ]
        time.sleep(max(0.0, (start - datetime.now(UTC)).total_seconds()))
        _, late, refused = uvloop.run(post_on_schedule(port, requests, POSTS_A_SECOND))
        deadline = time.monotonic() + PATIENCE_SECONDS
        with reader(settings) as store:
            while store.query(_BREACHES)[0][0] < posts and time.monotonic() < deadline:
                time.sleep(0.2)
            detected = [float(row[0]) for row in store.query(_DETECTED)]
    published = _published(settings)
    stage.forget(settings)
    return {
        "detected_p50_s": round(quantile(detected, 0.5), 3),
        "detected_p99_s": round(quantile(detected, 0.99), 3),
        "published_p50_s": round(quantile(published, 0.5), 3),
        "published_p99_s": round(quantile(published, 0.99), 3),
        "published_max_s": round(max(published, default=float("nan")), 3),
        "probes": len(published),
        "never_told": posts - len(published),
        "not_taken": refused,
        "events_a_second": events_a_second,
        "client_late_p99_s": round(quantile(late, 0.99), 3),
    }


def probe(number: int, start: datetime) -> bytes:
    """An order that is placed as it is posted, and due some seconds later."""
    placed = start + timedelta(seconds=number / POSTS_A_SECOND)
    order = f"{PROBE}{number}"
    wait = random.Random(number).uniform(SHORTEST, LONGEST)
    return placed_order(order, "hub-probe", placed, placed + timedelta(seconds=wait))


def _published(settings: Settings) -> list[float]:
    """Seconds from due to the append of each probe's breach on the topic."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers, enable_auto_commit=False)
    delays = []
    try:
        places = [TopicPartition(topics.SLA.name, number) for number in range(settings.partitions)]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(1_000, max_records=10_000).values():
                for record in records:
                    event = msgspec.json.decode(record.value)
                    if event["type"] == "milepost.sla.breached.v1" and event["subject"].startswith(PROBE):
                        due = datetime.fromisoformat(event["data"]["due"])
                        delays.append(record.timestamp / 1e3 - due.timestamp())
    finally:
        consumer.close()
    return delays
