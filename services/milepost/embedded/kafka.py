"""A real Kafka broker (KRaft, one node) run from its published jars.

``python -m milepost.embedded.kafka --data DIR`` fetches what is missing, formats the storage once, becomes the broker.
"""

import argparse
import os
import shutil
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

from milepost.embedded import jars, jvm
from milepost.embedded.kafka_training import train
from milepost.embedded.process import ANNOUNCED, leash
from milepost.settings import Service, Settings, load

HEAP = ("-Xms128m", "-Xmx512m")
_FORMAT_SECONDS = 60

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={log_folder}
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
queued.max.requests=100
queued.max.request.bytes=134217728
socket.request.max.bytes=33554432
max.connections=500
connections.max.idle.ms=600000
message.max.bytes=2000000
replica.fetch.max.bytes=2000000
fetch.max.bytes=33554432
quota.window.num=11
quota.window.size.seconds=1
"""


def argv(folder: Path) -> list[str]:
    """The command that runs the broker on ``folder``; the same one restarts it after any kind of end.

    Its ports come from the ``MILEPOST_*`` variables of the process's environment.
    """
    return [sys.executable, "-m", "milepost.embedded.kafka", "--data", str(folder.resolve())]


def starts_quickly() -> bool:
    """Whether nothing is left to prepare for quick starts."""
    cache = _start_up_cache()
    return cache is None or cache.exists()


def quick_start_argv() -> list[str]:
    """The command that prepares quick starts, politely: it takes what processor time others leave."""
    return [sys.executable, "-m", "milepost.embedded.kafka", "--quick-start"]


def prepare(folder: Path, settings: Settings, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """Make ``folder`` ready for a broker on the settings' ports and give the Java command that starts it.

    Raises:
        JavaNotFoundError, JarsNotFoundError: there is no Java, or the jars cannot be fetched.
        subprocess.CalledProcessError: the storage could not be formatted.
    """
    ports = settings.port_of(Service.KAFKA), settings.port_of(Service.KAFKA_CONTROLLER)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    java = _java(jars.classpath(say))
    properties = _storage(folder, ports, java)
    cache = _start_up_cache()
    quick = [f"-XX:AOTCache={cache}"] if cache is not None and cache.exists() else []
    return [java[0], *quick, *java[1:], "kafka.Kafka", str(properties)]


def prepare_quick_start(say: Callable[[str], None] = lambda _: None) -> None:
    """Make later starts of the broker on this machine some three times cheaper; nothing where that was done before.

    Raises:
        JavaNotFoundError, JarsNotFoundError: there is no Java, or the jars cannot be fetched.
        subprocess.CalledProcessError: the storage could not be formatted.
    """
    if starts_quickly():
        return
    java = _java(jars.classpath(say))
    with jvm.cache_lock("quick-start"):
        cache = _start_up_cache()
        if cache is not None and not cache.exists():
            say("preparing quick starts of the broker (once on this machine)")
            train(java, lambda trial, port, controller: _storage(trial, (port, controller), java), cache)


def _start_up_cache() -> Path | None:
    return jvm.start_up_cache(jars.place(jvm.cache_folder()).name)


def _storage(folder: Path, ports: tuple[int, int], java: list[str]) -> Path:
    """Format the storage in ``folder`` unless it is, and write the properties file that is the result."""
    storage = folder / "log"
    if not (storage / "meta.properties").exists():
        fresh = folder / "log.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(storage, ignore_errors=True)
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        config = _write(folder / "format.properties", fresh, ports)
        arguments = ["format", "--standalone", f"--cluster-id={cluster}", "--config", str(config)]
        subprocess.run(
            [*leash(), *java, "kafka.tools.StorageTool", *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=_FORMAT_SECONDS,
        )
        # Renamed only when whole, so that an end in the middle of it leaves nothing that looks formatted.
        fresh.rename(storage)
    return _write(folder / "server.properties", storage, ports)


def _write(path: Path, storage: Path, ports: tuple[int, int]) -> Path:
    path.write_text(_PROPERTIES.format(port=ports[0], controller_port=ports[1], log_folder=storage))
    return path


def _java(classpath: list[Path]) -> list[str]:
    return [
        str(jvm.java()),
        *HEAP,
        *jvm.packaged_java_options(),
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "-cp",
        os.pathsep.join(map(str, classpath)),
    ]


def _announce(line: str) -> None:
    print(f"{ANNOUNCED}{line}", flush=True)


def main() -> None:
    """Run as ``python -m milepost.embedded.kafka``."""
    parser = argparse.ArgumentParser(description=__doc__)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--data", type=Path)
    task.add_argument("--quick-start", action="store_true")
    arguments = parser.parse_args()
    try:
        if arguments.quick_start:
            os.nice(19)
            prepare_quick_start(_announce)
            return
        command = prepare(arguments.data, load(), _announce)
    except (jvm.JavaNotFoundError, jars.JarsNotFoundError) as error:
        sys.exit(f"kafka: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"kafka: the storage cannot be formatted: {error.stderr}")
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
