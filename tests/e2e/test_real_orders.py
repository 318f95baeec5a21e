"""Real orders through the edge, the broker, the processor and the store: the KPIs equal those known of them."""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spine import Spine, differences

from milepost.settings import Settings

pytestmark = [pytest.mark.needs_platform, pytest.mark.needs_data]

LINES = 22_721
JANUARY = ("--from", "2018-01-01T00:00:00Z", "--to", "2018-02-01T00:00:00Z")


@pytest.fixture(scope="module")
def olist(test_data: Path) -> Path:
    return test_data / "olist"


@pytest.fixture(scope="module")
def spine(
    olist: Path,
    tmp_path_factory: pytest.TempPathFactory,
    free_settings: Callable[[], Settings],
    milepost: Callable[..., Any],
) -> Iterator[Spine]:
    """A platform to which the real orders have been sent."""
    settings = free_settings().model_copy(update={"currency": "BRL"})
    with Spine(tmp_path_factory.mktemp("orders"), settings, milepost) as running:
        summary = running.send(olist / "events.jsonl.gz")
        assert (summary["lines"], summary["accepted"], summary["refused"]) == (LINES, LINES, 0)
        running.catch_up()
        yield running


def test_the_kpis_are_the_true_ones(spine: Spine, olist: Path) -> None:
    for options, name in (
        ((), "truth"),
        (("--by", "hub_id"), "truth_by_hub"),
        (("--by", "zone_id"), "truth_by_zone"),
        (JANUARY, "truth_2018-01_utc"),
    ):
        window = () if options == JANUARY else ("--window", "all")
        truth = json.loads((olist / f"{name}.json").read_text())
        assert len(truth) > 10
        assert differences(spine.kpi(*window, *options), truth) == [], name


def test_the_log_says_the_same(spine: Spine) -> None:
    for by in ((), ("--by", "hub_id,zone_id,courier_id")):
        assert spine.command("reconcile", "--window", "all", *by).startswith("No drift")


def test_every_distinct_event_is_in_the_log_once(spine: Spine, olist: Path) -> None:
    with gzip.open(olist / "events.jsonl.gz") as file:
        events = [json.loads(line) for line in file]
    distinct = {(event["subject"], event["source"], event["id"]) for event in events}
    assert len(distinct) < len(events) == LINES
    with spine.store() as store:
        assert store.query("SELECT count(), uniqExact(subject, source, id) FROM events") == [(len(distinct),) * 2]
        assert store.query("SELECT sum(events) FROM orders") == [(len(distinct),)]
        assert store.query("SELECT count() FROM dead_letters") == [(0,)]


def test_all_sent_again_in_any_order_changes_no_number(spine: Spine, olist: Path, tmp_path: Path) -> None:
    with gzip.open(olist / "events.jsonl.gz") as file:
        lines = file.readlines()
    random.Random(5).shuffle(lines)
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_bytes(b"".join(lines))
    with spine.store() as store:
        before = store.query("SELECT count() FROM kpi_store FINAL")
        spine.send(shuffled)
        spine.catch_up()
        assert store.query("SELECT count() FROM kpi_store FINAL") == before
    truth = json.loads((olist / "truth.json").read_text())
    assert differences(spine.ask(window="all"), truth) == []
