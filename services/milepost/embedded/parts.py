"""Every part of the platform on one machine: how it is started, what it waits for, when it is stopped."""

import shutil
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from milepost.embedded import alerting, clickhouse, kafka
from milepost.embedded.process import Part, environment
from milepost.settings import EDGE_SERVICES, Service, Settings

TOPICS = "topics"
SCHEMA = "schema"
POLICIES = "policies"
_COMMAND = (sys.executable, "-m", "milepost.cli")


class Stop(IntEnum):
    """The order things are stopped in: what feeds the others first, what the others write to last."""

    SOURCE = 0
    EDGE = 1
    PROCESSOR = 2
    READER = 3
    ENGINE = 4


STOP_SECONDS = {Stop.SOURCE: 1.0, Stop.EDGE: 1.5, Stop.PROCESSOR: 3.0, Stop.READER: 1.0, Stop.ENGINE: 1.5}
"""How long each stage may take before SIGKILL. All parts survive that; together it is under ten seconds."""


def full_platform(data: Path, settings: Settings, workers: int, *, with_prometheus: bool) -> list[Part]:
    """Everything but the simulator, in the order it is shown; the engines' folders are under ``data``."""
    parts = [
        *engines(data, settings),
        _task(TOPICS, ("topics", "apply"), settings, after=(Service.KAFKA.value,)),
        _task(SCHEMA, ("migrate", "apply"), settings, after=(Service.CLICKHOUSE.value,)),
        # Nothing waits for it: until then, and without, workers go by what is built in.
        _task(POLICIES, ("sla", "apply", "--if-none"), settings, after=(TOPICS, SCHEMA), optional=True),
        *(_service(service, settings, (TOPICS,), Stop.EDGE) for service in EDGE_SERVICES),
        *(worker(index, settings, after=(TOPICS, SCHEMA)) for index in range(workers)),
        _service(Service.EXPORTER, settings, (SCHEMA,), Stop.READER),
        _service(Service.INSIGHTS, settings, (SCHEMA,), Stop.READER),
        _service(Service.AUDITOR, settings, (SCHEMA, Service.ORDERS.value), Stop.SOURCE),
    ]
    if with_prometheus:
        parts += monitoring(data, settings, workers)
    return parts


def engines(data: Path, settings: Settings) -> list[Part]:
    """Kafka and ClickHouse."""
    variables = _variables(settings)
    return [
        Part(
            Service.KAFKA.value,
            tuple(kafka.argv(data / "kafka")),
            settings.port_of(Service.KAFKA),
            environment=variables,
            stop_seconds=STOP_SECONDS[Stop.ENGINE],
            stop_stage=Stop.ENGINE,
            other_ports=(settings.port_of(Service.KAFKA_CONTROLLER),),
        ),
        Part(
            Service.CLICKHOUSE.value,
            tuple(clickhouse.argv(data / "clickhouse", settings)),
            settings.port_of(Service.CLICKHOUSE),
            "/ping",
            environment=variables,
            stop_seconds=STOP_SECONDS[Stop.ENGINE],
            stop_stage=Stop.ENGINE,
        ),
    ]


def worker(index: int, settings: Settings, after: tuple[str, ...] = ()) -> Part:
    """One processor worker."""
    return Part(
        worker_name(index),
        (*_COMMAND, "run", Service.PROCESSOR.value, "--index", str(index)),
        settings.port_of(Service.PROCESSOR, index),
        "/readyz",
        alive_path="/healthz",
        environment=_variables(settings),
        stop_seconds=STOP_SECONDS[Stop.PROCESSOR],
        after=after,
        stop_stage=Stop.PROCESSOR,
    )


def worker_name(index: int) -> str:
    """What the worker is called: the first is simply the processor."""
    return Service.PROCESSOR.value if index == 0 else f"{Service.PROCESSOR.value}-{index + 1}"


def simulator(settings: Settings, speed: float) -> Part:
    """The live city, posting to the orders service."""
    return Part(
        "simulator",
        (*_COMMAND, "simulate", "--speed", str(speed)),
        None,
        environment=_variables(settings),
        stop_seconds=STOP_SECONDS[Stop.SOURCE],
        after=(Service.ORDERS.value, worker_name(0)),
        stop_stage=Stop.SOURCE,
    )


def quick_start(after: Sequence[Part]) -> Part:
    """Prepares quick starts of the broker, once on a machine, when ``after`` are all ready."""
    return Part(
        "quick-start",
        tuple(kafka.quick_start_argv()),
        None,
        stop_seconds=STOP_SECONDS[Stop.SOURCE],
        after=tuple(part.name for part in after),
        once=True,
        optional=True,
        stop_stage=Stop.SOURCE,
    )


def monitoring(data: Path, settings: Settings, workers: int) -> list[Part]:
    """Prometheus and Alertmanager, as far as they are installed, their configuration written under ``data``."""
    parts = []
    prometheus, alertmanager = programs()
    if prometheus:
        argv = alerting.prometheus_argv(prometheus, data / "prometheus", settings, workers)
        parts.append(_monitor(Service.PROMETHEUS, argv, settings))
    if alertmanager:
        argv = alerting.alertmanager_argv(alertmanager, data / "alertmanager", settings)
        parts.append(_monitor(Service.ALERTMANAGER, argv, settings))
    return parts


def programs() -> tuple[str | None, str | None]:
    """Where Prometheus and Alertmanager are installed; None for what is not."""
    return shutil.which("prometheus"), shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def _monitor(service: Service, argv: list[str], settings: Settings) -> Part:
    return Part(
        service.value,
        tuple(argv),
        settings.port_of(service),
        "/-/ready",
        stop_seconds=STOP_SECONDS[Stop.READER],
        stop_stage=Stop.READER,
    )


def _service(service: Service, settings: Settings, after: tuple[str, ...], stage: Stop) -> Part:
    return Part(
        service.value,
        (*_COMMAND, "run", service.value),
        settings.port_of(service),
        "/readyz",
        alive_path="/healthz",
        environment=_variables(settings),
        stop_seconds=STOP_SECONDS[stage],
        after=after,
        stop_stage=stage,
    )


def _task(
    name: str, arguments: tuple[str, ...], settings: Settings, after: tuple[str, ...], *, optional: bool = False
) -> Part:
    return Part(
        name,
        (*_COMMAND, *arguments),
        None,
        environment=_variables(settings),
        stop_seconds=STOP_SECONDS[Stop.SOURCE],
        after=after,
        once=True,
        optional=optional,
        stop_stage=Stop.SOURCE,
    )


def _variables(settings: Settings) -> dict[str, str]:
    # Only the settings that place everything on its own port: each service finds its port by itself.
    variables = environment(settings)
    variables.pop("MILEPOST_PORT", None)
    return {**variables, "MILEPOST_PORT_BASE": str(settings.port_base)}
