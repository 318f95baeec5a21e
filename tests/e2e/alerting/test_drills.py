"""Drills: real Prometheus and Alertmanager with the repository's rules and routes; how many pages does a trouble make?

The services are a server that tells the numbers of a drill. All waits are a sixtieth of what they are in operation.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from on_call import OnCall, Told, drill, on_call, wait_until

from milepost.settings import EDGE_SERVICES, Settings

pytestmark = [pytest.mark.needs_prometheus, pytest.mark.timeout(300)]

QUIET_SECONDS = 7.0
"""Longer than waiting to group and than the interval of a group: what was to be told again would have been."""
WEEK = 7 * 24 * 3600


@pytest.fixture
def person() -> Iterator[OnCall]:
    with on_call() as one:
        yield one


def promises(
    hub: str, share: float, windows: tuple[str, ...] = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
) -> dict[str, float]:
    """The series of a hub that keeps a share of its promises: 60 an hour are due."""
    minutes = {"5m": 5, "30m": 30, "1h": 60, "2h": 120, "6h": 360, "1d": 1440, "3d": 4320}
    return {
        f'milepost_kpi_{part}{{kpi="promise_kept",window="{window}",hub_id="{hub}"}}': round(
            minutes[window] * part_share
        )
        for window in windows
        for part, part_share in (("denominator", 1.0), ("numerator", share))
    }


def danger(hub: str, at_risk: int) -> dict[str, float]:
    """The series of a hub with 60 open orders."""
    return {
        f'milepost_open_orders{{hub_id="{hub}"}}': 60,
        f'milepost_overdue_orders{{hub_id="{hub}"}}': 0,
        f'milepost_at_risk_orders{{hub_id="{hub}"}}': at_risk,
    }


def well(hubs: list[str]) -> Told:
    """A platform and hubs with which all is well."""
    told = Told()
    told.say("exporter", {"milepost_exporter_up": 1, "milepost_watermark_age_seconds": 1})
    told.say("auditor", {"milepost_canary_age_seconds": 20, "milepost_reconcile_drift": 0})
    told.say("auditor", {"milepost_reconcile_last_success_timestamp_seconds": time.time})
    told.say("processor", {"milepost_sink_failures": 0, 'milepost_processor_lag_records{partition="0"}': 0})
    for service in EDGE_SERVICES:
        told.say(service.value, {"milepost_edge_broker_up": 1})
        told.say(service.value, {f'milepost_edge_requests_total{{status="{code}"}}': 0 for code in (202, 503)})
    for hub in hubs:
        told.say("exporter", promises(hub, 0.98) | danger(hub, 2))
    return told


def last_week(folder: Path, hubs: list[str]) -> None:
    """What Prometheus kept of a week ago: the couriers' apps sent an event a second from every hub."""
    now = int(time.time())
    file = folder.parent / "last_week.txt"
    with file.open("w") as out:
        out.write("# TYPE milepost_source_events counter\n")
        for hub in hubs:
            for minute in range(-150, 31):
                at = now - WEEK + 60 * minute
                labels = f'source="/apps",hub_id="{hub}",job="processor"'
                out.write(f"milepost_source_events_total{{{labels}}} {60 * (minute + 150)} {at}\n")
        out.write("# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(file), str(folder / "series")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def stays_quiet(person: OnCall, pages: int) -> None:
    """Nothing is told for a while besides ``pages``."""
    time.sleep(QUIET_SECONDS)
    assert len(person.pages()) == pages, person.told


def test_a_hub_that_collapses_is_one_page_and_resolves(
    tmp_path: Path, person: OnCall, free_settings: Callable[[], Settings]
) -> None:
    told = well(["BER-1", "HAM-1", "MUC-1", "LEJ-1"])
    with drill(tmp_path / "stage", free_settings(), person, told):
        told.say("exporter", promises("BER-1", 0.3, ("5m", "1h")))
        [page] = person.wait_for("firing")
        assert page["receiver"] == "operations-pages"
        [alert] = page["alerts"]
        assert alert["labels"] == {
            "alertname": "HubBreakingPromises", "hub_id": "BER-1", "severity": "page", "team": "operations",
        }  # fmt: skip
        assert alert["annotations"]["summary"].startswith("Hub BER-1 is breaking its promises since ")
        assert "42 of the 60 orders due in the last hour" in alert["annotations"]["summary"]
        # The slower burn joins, the ticket's windows too, and open orders pile up.
        told.say("exporter", promises("BER-1", 0.5) | danger("BER-1", 40))
        stays_quiet(person, 1)

        told.say("exporter", promises("BER-1", 0.98) | danger("BER-1", 2))
        [over] = person.wait_for("resolved")
        assert over["alerts"][0]["labels"] == alert["labels"]
        stays_quiet(person, 1)


def test_many_hubs_at_once_are_one_page(tmp_path: Path, person: OnCall, free_settings: Callable[[], Settings]) -> None:
    hubs = [f"HUB-{n}" for n in range(10)]
    told = well(hubs)
    with drill(tmp_path / "stage", free_settings(), person, told) as running:
        collapsed: dict[str, float] = {}
        for hub in hubs[:4]:
            collapsed |= promises(hub, 0.2)
        told.say("exporter", collapsed)
        [page] = person.wait_for("firing")
        [alert] = page["alerts"]
        assert alert["labels"] == {"alertname": "RegionBreakingPromises", "severity": "page", "team": "operations"}
        assert alert["annotations"]["summary"].startswith("4 of 10 hubs are breaking their promises at once")
        assert running.held_back("HubBreakingPromises") == 4
        # All recover at once: no hub is told of because the region is over before it.
        healed: dict[str, float] = {}
        for hub in hubs[:4]:
            healed |= promises(hub, 0.98)
        told.say("exporter", healed)
        person.wait_for("resolved")
        stays_quiet(person, 1)


def test_a_silent_source_is_the_platforms_page_and_not_the_hubs(
    tmp_path: Path, person: OnCall, free_settings: Callable[[], Settings]
) -> None:
    told = well(["BER-1", "HAM-1", "MUC-1", "LEJ-1"])
    last_week(tmp_path / "stage", ["BER-1"])
    with drill(tmp_path / "stage", free_settings(), person, told) as running:
        [page] = person.wait_for("firing")
        assert page["receiver"] == "platform-pages"
        [alert] = page["alerts"]
        assert alert["labels"] == {
            "alertname": "SourceSilent", "hub_id": "BER-1", "source": "/apps", "severity": "page", "team": "platform",
        }  # fmt: skip
        # What its couriers deliver is not heard of, so every promise looks broken.
        told.say("exporter", promises("BER-1", 0.1) | danger("BER-1", 50))
        wait_until(lambda: running.held_back("HubBreakingPromises") == 1, "the hub's page is held back")
        stays_quiet(person, 1)


def test_a_broker_outage_with_fifty_hubs_is_one_page(
    tmp_path: Path, person: OnCall, free_settings: Callable[[], Settings]
) -> None:
    hubs = [f"HUB-{n}" for n in range(50)]
    told = well(hubs)
    last_week(tmp_path / "stage", hubs)
    # The broker is away …
    began = time.time()
    for service in EDGE_SERVICES:
        told.say(service.value, {"milepost_edge_broker_up": 0})
        told.say(service.value, {'milepost_edge_requests_total{status="503"}': lambda: 50 * (time.time() - began)})
    # … what the apps sent came before …
    heard = {f'milepost_source_events_total{{source="/apps",hub_id="{hub}"}}': 1000 for hub in hubs}
    told.say("processor", heard)
    with drill(tmp_path / "stage", free_settings(), person, told) as running:
        [page] = person.wait_for("firing")
        assert page["receiver"] == "platform-pages"
        assert {alert["labels"]["alertname"] for alert in page["alerts"]} == {"EdgeCannotPublish"}
        # … and then all that follows from it.
        told.say("auditor", {"milepost_canary_age_seconds": lambda: 200 + time.time() - began})
        told.say("exporter", {"milepost_watermark_age_seconds": lambda: 200 + time.time() - began})
        collapsed: dict[str, float] = {}
        for hub in hubs:
            collapsed |= promises(hub, 0.1) | danger(hub, 50)
        told.say("exporter", collapsed)
        told.forget("processor", "milepost_source_events_total")
        expected = {"SourceSilent": 50, "HubBreakingPromises": 50, "CanaryLate": 1, "ProcessorBehind": 1}
        for name, number in expected.items():
            wait_until(lambda name=name, number=number: running.held_back(name) == number, f"{number} {name} held back")
        stays_quiet(person, 1)
