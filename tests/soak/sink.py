"""The store is killed and stays away, the load goes on: nothing is lost, memory stays, and it catches up."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from milepost.settings import Settings
from soak import city
from soak.city import POSTS_A_SECOND, City, Load
from soak.stage import Behind, Stage, running
from soak.watch import Watch, as_json, curve, metric, readiness
from support.spine import ENGINE, PROCESSOR, differences

WARM_UP_SECONDS = 5
NEAR_SECONDS = 3
"""Caught up: less is waiting than so many seconds bring."""
LAG_SLACK = 500
"""And what a flush may always have in hand."""
CATCH_UP_LIMIT = 600.0
AFTER_SHARE, AFTER_SECONDS = 0.1, 10
"""The load goes on for so long after the store is back, so that catching up is no rest."""
MOST_GROWTH_MIB = 350


def soak(folder: Path, seconds: int, rate: int, pause: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Post ``rate`` events/s, take the store away for ``seconds``; give figures and faults, best none."""
    after = AFTER_SECONDS + round(seconds * AFTER_SHARE)
    say(f"simulating {rate * (WARM_UP_SECONDS + seconds + after):,} events")
    known = city.simulate(rate * (WARM_UP_SECONDS + seconds + after), folder / "city")
    with running(folder / "platform") as stage:
        load = Load(stage.edge_url, known.batches(max(1, rate // POSTS_A_SECOND)), rate)
        behind = Behind(stage)
        watch = Watch(*stage.pids(), stage.worker_url, behind, pause, say)
        stage.wait(lambda: not readiness(stage.worker_url), "the worker is ready")
        load.start()
        watch.start()
        try:
            time.sleep(WARM_UP_SECONDS)
            watch.phase = "away"
            stage.platform.kill(ENGINE)
            say(f"the store is away for {seconds} s")
            time.sleep(seconds)
            watch.phase = "catching"
            stage.platform.start(ENGINE)
            back = time.monotonic()
            say("the store is back")
            caught_up = _caught_up(watch, rate, back)
            watch.phase = "after"
            load.finish(after + seconds + CATCH_UP_LIMIT)
            stage.catch_up()
        finally:
            watch.stop()
        return _judge(stage, known, load, watch, caught_up, rate, seconds)


def _caught_up(watch: Watch, rate: int, back: float) -> float | None:
    """Seconds from the store's return until little is waiting, while the load goes on; None where it never was."""
    since = watch.seconds()
    while time.monotonic() - back < CATCH_UP_LIMIT and not watch.ended:
        latest = watch.samples[-1]
        if latest.at > since and latest.lag <= NEAR_SECONDS * rate + LAG_SLACK:
            return time.monotonic() - back
        time.sleep(0.1)
    return None


def _judge(
    stage: Stage, known: City, load: Load, watch: Watch, caught_up: float | None, rate: int, seconds: int
) -> dict[str, Any]:
    with stage.store() as store:
        ((stored, distinct),) = store.query("SELECT count(), uniqExact(subject, source, id) FROM events")
        ((conflicts,),) = store.query("SELECT count() FROM dead_letters WHERE reason = 'conflict'")
    sent = distinct_events(known)
    wrong = differences(stage.ask(window="all"), known.truth["overall"])
    wrong += differences(stage.ask(window="all", by=("hub_id",)), known.truth["by"]["hub_id"])
    before = max(sample.worker_mib for sample in watch.of("warm-up"))
    away = watch.of("away")
    peak = max(sample.worker_mib for sample in away)
    said = [sample for sample in away if "store is away" in sample.missing]
    recoveries = metric(stage.worker_url, "milepost_processor_recoveries_total")
    figures: dict[str, Any] = {
        "rate": rate,
        "seconds_away": seconds,
        "accepted": load.accepted,
        "refused": load.refused,
        "told_to_send_again": load.waits,
        "longest_post_seconds": round(load.longest_post, 3),
        "most_lag": max(sample.lag for sample in watch.samples),
        "caught_up_after_seconds": None if caught_up is None else round(caught_up, 1),
        "lost": sent - distinct,
        "double": stored - distinct,
        "kpi_differences": len(wrong),
        "conflicts": conflicts,
        "worker_mib_before": round(before),
        "worker_mib_most_while_away": round(peak),
        "worker_mib_most": round(max(sample.worker_mib for sample in watch.samples)),
        "edge_mib_most": round(max(sample.edge_mib for sample in watch.samples)),
        "samples_that_said_the_store_is_away": f"{len(said)} of {len(away)}",
        "partitions_taken_in_hand": int(recoveries),
    }
    faults = list(wrong[:10])
    if figures["lost"] or figures["double"]:
        faults.append(f"{figures['lost']} events lost, {figures['double']} double")
    if load.accepted != known.lines or load.refused:
        faults.append(f"{load.accepted} of {known.lines} events accepted, {load.refused} refused")
    if caught_up is None:
        faults.append(f"not caught up within {CATCH_UP_LIMIT:.0f} s")
    if watch.ended:
        faults.append(f"the worker ended: {stage.platform.log(PROCESSOR).read_text()[-2_000:]}")
    if recoveries != Settings.model_fields["partitions"].default:
        faults.append(f"{recoveries:.0f} partitions were taken in hand: the group did not stay together")
    if not said:
        faults.append("the worker never said that the store is away")
    if peak - before > MOST_GROWTH_MIB:
        faults.append(f"the worker grew by {peak - before:.0f} MiB while the store was away")
    print(curve(watch.samples))
    return {"figures": figures, "faults": faults, "samples": as_json(watch.samples)}


def distinct_events(known: City) -> int:
    """How many events the city's lines are: an event that comes again is the same one."""
    import msgspec

    class Identity(msgspec.Struct):
        subject: str
        source: str
        id: str

    decode = msgspec.json.Decoder(Identity).decode
    found = set()
    for batch in known.batches(5_000):
        found.update((event.subject, event.source, event.id) for event in map(decode, batch))
    return len(found)
