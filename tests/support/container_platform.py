"""The other platform of the integration tests: the official images of Kafka and ClickHouse, by testcontainers.

It listens on the same ports of this machine as the embedded one, so the tests need not know which of the two they have.
"""

import gc
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound
from pydantic import SecretStr
from testcontainers.core.container import DockerContainer

from milepost.bus import topics
from milepost.embedded.platform import Platform
from milepost.embedded.process import Part, is_ready
from milepost.settings import Service, Settings

ROOT = Path(__file__).parents[2]

_READY_SECONDS = 120.0


class UnavailableError(RuntimeError):
    """There is no container engine, or an image cannot be had; the message says which and why."""


def with_credentials(settings: Settings) -> Settings:
    """The settings with users and passwords: unlike the embedded engine's, the image's users have some."""
    credentials = {
        "clickhouse_user": "milepost",
        "clickhouse_password": SecretStr("writer-of-the-tests"),
        "clickhouse_reader_password": SecretStr("reader-of-the-tests"),
    }
    return settings.model_copy(update=credentials)


def images() -> dict[str, str]:
    """The images, by the variable that pins them: those of docker-compose.yml."""
    lines = (ROOT / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def kafka_image() -> str:
    """The image of Kafka."""
    return images()["KAFKA_IMAGE"]


def clickhouse_image() -> str:
    """The image of ClickHouse."""
    return images()["CLICKHOUSE_IMAGE"]


def require_engine() -> None:
    """Make sure that both images are there, fetching them if need be; raises ``UnavailableError``."""
    with warnings.catch_warnings():
        # The client leaves its socket to the garbage collector where nobody answers.
        warnings.simplefilter("ignore", ResourceWarning)
        fault = _fault()
        gc.collect()
    if fault:
        raise UnavailableError(fault)


def _fault() -> str | None:
    try:
        client = docker.from_env()
    except DockerException as error:
        return f"no container engine answers: {error}"
    try:
        for image in (kafka_image(), clickhouse_image()):
            try:
                client.images.get(image)
            except ImageNotFound:
                client.images.pull(image)
    except DockerException as error:
        return f"the image {image} cannot be had: {error}"
    finally:
        client.close()
    return None


def kafka_container(settings: Settings) -> DockerContainer:
    """One broker; clients on this machine reach it at the settings' port."""
    port = settings.port_of(Service.KAFKA)
    container = DockerContainer(kafka_image()).with_envs(
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_LISTENERS="OUTSIDE://:9092,INSIDE://:9094,CONTROLLER://:9093",
        KAFKA_ADVERTISED_LISTENERS=f"OUTSIDE://127.0.0.1:{port},INSIDE://localhost:9094",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="OUTSIDE:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        KAFKA_INTER_BROKER_LISTENER_NAME="INSIDE",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
        KAFKA_LOG_DIRS="/var/lib/kafka/data",
        KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
        KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR="1",
        KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR="1",
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
    )
    return _published(container, 9092, port)


def clickhouse_container(settings: Settings) -> DockerContainer:
    """One server; reached over HTTP at the settings' port, by the settings' users."""
    container = DockerContainer(clickhouse_image()).with_envs(
        CLICKHOUSE_USER=settings.clickhouse_user,
        CLICKHOUSE_PASSWORD=settings.clickhouse_password.get_secret_value(),
        CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT="1",
    )
    return _published(container, 8123, settings.port_of(Service.CLICKHOUSE))


def _published(container: DockerContainer, port: int, at: int) -> DockerContainer:
    container.ports[f"{port}/tcp"] = ("127.0.0.1", at)  # type: ignore[assignment]
    return container


_CONTAINERS: dict[str, Callable[[Settings], DockerContainer]] = {
    Service.KAFKA.value: kafka_container,
    Service.CLICKHOUSE.value: clickhouse_container,
}


class ContainerPlatform(Platform):
    """Kafka and ClickHouse in containers, everything else that is added as processes, as in ``Platform``."""

    def __init__(self, data: Path, settings: Settings) -> None:
        super().__init__(data, settings)
        self._containers: dict[str, DockerContainer] = {}

    def start_infrastructure(self) -> None:
        """Start both and wait until they answer; ``require_engine`` has said that they can be."""
        try:
            for name, make in _CONTAINERS.items():
                self._containers[name] = make(self.settings).start()
            for name in self._containers:
                self.wait_ready(name)
        except BaseException:
            self.stop()
            raise

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start a part; a container that was killed starts again on its data."""
        if name not in self._containers:
            super().start(name, wait=wait)
            return
        self._containers[name].get_wrapped_container().start()
        if wait:
            self.wait_ready(name)

    def wait_ready(self, name: str, seconds: float = _READY_SECONDS) -> None:
        """Wait until a started part answers; raises ``RuntimeError`` where it ended or does not."""
        container = self._containers.get(name)
        if container is None:
            super().wait_ready(name, seconds)
            return
        until = time.monotonic() + seconds
        while not _answers(name, self.settings):
            wrapped = container.get_wrapped_container()
            wrapped.reload()
            if wrapped.status == "exited" or time.monotonic() > until:
                raise RuntimeError(f"{name} does not answer:\n{wrapped.logs(tail=30).decode(errors='replace')}")
            time.sleep(0.2)

    def kill(self, name: str) -> None:
        """``kill -9``: no goodbye."""
        if name in self._containers:
            self._containers[name].get_wrapped_container().kill()
        else:
            super().kill(name)

    def restart(self, name: str) -> None:
        """Start a part again on the same data."""
        if name in self._containers:
            self._containers[name].get_wrapped_container().restart()
            self.wait_ready(name)
        else:
            super().restart(name)

    def stop(self) -> None:
        """Stop everything that was started, processes first, and remove the containers with their data."""
        super().stop()
        while self._containers:
            self._containers.popitem()[1].stop()


def _answers(name: str, settings: Settings) -> bool:
    """Whether an engine does its work, not merely whether its port is open: the port is the container engine's own."""
    if name == Service.CLICKHOUSE.value:
        return is_ready(Part(name, (), settings.port_of(Service.CLICKHOUSE), "/ping"))
    try:
        topics.look(settings)
    except topics.TopicsError:
        return False
    return True
