"""Killed in the middle: the processor and the engine die without goodbye, and the numbers are the same."""

import gzip
import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spine import ENGINE, PROCESSOR, Spine, differences

from milepost.settings import Settings

pytestmark = [pytest.mark.needs_platform, pytest.mark.needs_data]


def test_kill_9_of_processor_and_engine_in_the_middle_of_real_orders_shuffled(
    test_data: Path, tmp_path: Path, free_settings: Callable[[], Settings], milepost: Callable[..., Any]
) -> None:
    olist = test_data / "olist"
    with gzip.open(olist / "events.jsonl.gz") as file:
        lines = file.readlines()
    random.Random(9).shuffle(lines)
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_bytes(b"".join(lines))
    settings = free_settings().model_copy(update={"currency": "BRL", "flush_events": 4_000})
    with Spine(tmp_path / "platform", settings, milepost) as spine:
        summaries: list[Any] = []
        sending = threading.Thread(target=lambda: summaries.append(spine.send(shuffled)))
        sending.start()
        platform = spine.platform
        spine.wait(lambda: sum(spine.cuts().values()) > 3_000, "a first part is stored")
        platform.kill(PROCESSOR)
        platform.start(PROCESSOR, wait=False)
        spine.wait(lambda: sum(spine.cuts().values()) > 8_000, "a second part is stored")
        platform.kill(ENGINE)
        platform.start(ENGINE)
        spine.wait(lambda: sum(spine.cuts().values()) > 14_000, "a third part is stored")
        platform.kill(PROCESSOR)
        platform.kill(ENGINE)
        platform.start(ENGINE)
        platform.start(PROCESSOR, wait=False)
        sending.join()
        assert [(one["accepted"], one["refused"]) for one in summaries] == [(len(lines), 0)]
        spine.catch_up()
        for by in ((), ("hub_id",), ("zone_id",)):
            name = "_by_".join(["truth", *(dimension.removesuffix("_id") for dimension in by)])
            truth = json.loads((olist / f"{name}.json").read_text())
            assert differences(spine.ask(window="all", by=by), truth) == [], name
