"""What `milepost up` makes of settings: parts, ports, variables, the configuration of monitoring, KPI lines."""

from pathlib import Path

import pytest
import yaml

from milepost.embedded import alerting, parts
from milepost.embedded.display import line_of
from milepost.embedded.kpi_rows import readable
from milepost.embedded.process import Part, environment
from milepost.embedded.supervisor import State, Status
from milepost.settings import MAX_EMBEDDED_WORKERS, Service, Settings

SETTINGS = Settings(port_base=18_000, currency="BRL", clickhouse_password="secret")


@pytest.fixture
def platform(tmp_path: Path) -> list[Part]:
    return parts.full_platform(tmp_path, SETTINGS, MAX_EMBEDDED_WORKERS, with_prometheus=False)


def test_every_part_has_ports_of_its_own(platform: list[Part]) -> None:
    ports = [port for part in platform for port in (part.port, *part.other_ports) if port is not None]
    assert len(ports) == len(set(ports))
    assert {SETTINGS.port_of(service) for service in Service} - set(ports) == {
        SETTINGS.port_of(Service.PROMETHEUS),
        SETTINGS.port_of(Service.ALERTMANAGER),
    }


def test_parts_wait_only_for_parts(platform: list[Part]) -> None:
    names = [part.name for part in platform]
    assert len(names) == len(set(names))
    assert {name for part in platform for name in part.after} <= set(names)
    assert set(parts.simulator(SETTINGS, 1.0).after) <= set(names)


def test_what_feeds_stops_before_what_is_fed(platform: list[Part]) -> None:
    stage = {part.name: part.stop_stage for part in (*platform, parts.simulator(SETTINGS, 1.0))}
    order = ["simulator", "orders", "processor", "insights", "kafka"]
    assert [stage[name] for name in order] == sorted({stage[name] for name in order})
    assert stage["kafka"] == stage["clickhouse"]


def test_all_stages_together_stop_in_under_ten_seconds() -> None:
    assert sum(parts.STOP_SECONDS.values()) < 10


def test_children_get_the_same_settings() -> None:
    variables = environment(SETTINGS)
    assert variables == {
        "MILEPOST_PORT_BASE": "18000",
        "MILEPOST_CURRENCY": "BRL",
        "MILEPOST_CLICKHOUSE_PASSWORD": "secret",
    }


def test_prometheus_scrapes_every_service_and_reads_the_repositorys_rules() -> None:
    config = alerting.prometheus_config(SETTINGS, workers=2)
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}  # type: ignore[attr-defined]
    assert jobs["processor"] == ["127.0.0.1:18120", "127.0.0.1:18121"]
    assert set(jobs) == {
        "orders",
        "dispatch",
        "deliveries",
        "feedback",
        "costs",
        "processor",
        "exporter",
        "insights",
        "auditor",
    }
    assert str(alerting.deploy_folder()) in str(config["rule_files"])


def test_alerts_go_to_the_webhook_where_one_is_named() -> None:
    nobody = yaml.safe_load(alerting.alertmanager_config(None))
    named = yaml.safe_load(alerting.alertmanager_config('http://127.0.0.1:1/"hook"'))
    told = {receiver["name"]: receiver.pop("webhook_configs", None) for receiver in named["receivers"]}
    # The dead man's switch is for something that counts its calls.
    assert told.pop("watchdog") is None
    assert list(told.values()) == 4 * [[{"url": 'http://127.0.0.1:1/"hook"', "send_resolved": True}]]
    assert named == nobody
    # The configuration is written elsewhere, so its templates are named by their whole path.
    [templates] = nobody["templates"]
    assert list(Path(templates).parent.glob("*.tmpl"))


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (Status(Part("a", ("x",), 1, "/"), State.READY, 2.06), "a             http://127.0.0.1:1      ready in 2.1 s"),
        (
            Status(Part("a", ("x",), 1), State.STARTING, note="fetching"),
            "a             127.0.0.1:1             fetching",
        ),
        (Status(Part("a", ("x",), 1), State.STARTING), None),
        (
            Status(Part("a", ("x",), None), State.RESTARTING, 0.5, "was ended by SIGKILL"),
            "a                                     was ended by SIGKILL; starting it again in 0.5 s",
        ),
    ],
)
def test_lines(status: Status, line: str | None) -> None:
    assert line_of(status) == line


def test_kpis_are_readable() -> None:
    share = {
        "kpi": "on_time",
        "unit": "ratio",
        "value": 0.9876,
        "numerator": 1234,
        "denominator": 1249.5,
        "coverage": 1,
    }
    row = readable({**share, "dimensions": {}}, "EUR")
    assert (row.kpi, row.value, row.unit, row.fraction, row.coverage) == (
        "on_time", "98.8 %", "", "1,234 / 1,249.50", "100 %",
    )  # fmt: skip
    unknown = {
        "kpi": "stage_time",
        "unit": "minutes",
        "value": None,
        "numerator": 0,
        "denominator": 0,
        "coverage": None,
    }
    row = readable({**unknown, "dimensions": {"stage": "door"}}, "EUR")
    assert (row.kpi, row.value, row.unit, row.fraction, row.coverage) == (
        "stage_time door",
        "–",
        "minutes",
        "0 / 0",
        "",
    )
    cost = {"kpi": "cost", "unit": "currency", "value": 1.5, "numerator": 3, "denominator": 2, "coverage": 1}
    assert readable(cost, "BRL").unit == "BRL"
