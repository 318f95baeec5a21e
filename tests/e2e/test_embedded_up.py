"""`milepost up` as a person has it: it starts, says so, mends itself, and stops whole, whenever it is told."""

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import clickhouse_connect
import psutil
import pytest

from milepost.settings import EDGE_SERVICES, Service, Settings

pytestmark = [pytest.mark.needs_platform, pytest.mark.timeout(240)]

Command = Callable[..., subprocess.CompletedProcess[str]]

STOP_SECONDS = 10
EVENT = (
    '{"specversion":"1.0","id":"%s","source":"/tests","type":"milepost.dispatch.ready.v1",'
    '"time":"2026-01-05T10:00:00Z","subject":"%s","data":{"order_id":"%s"}}'
)


class Up:
    """A running `milepost up` and what it prints."""

    def __init__(self, data: Path, settings: Settings, *arguments: str, terminal: bool = False) -> None:
        self.data = data
        self.settings = settings
        self.said: list[str] = []
        self.process = start(data, settings, *arguments, terminal=terminal)
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def until(self, *words: str, seconds: float = 120) -> str:
        """The next line that has all of ``words``."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"it ended with {self.process.wait()}:\n{''.join(self.said)}")
            self.said.append(line)
            if all(word in line for word in words):
                return line

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        """Leave nothing of it, however the test went."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def parts(self) -> list[psutil.Process]:
        """Every process of this platform, wherever it hangs."""
        found = []
        for process in psutil.process_iter(["cmdline", "pid"]):
            command = " ".join(process.info["cmdline"] or ())
            if process.pid not in (os.getpid(), self.process.pid) and (
                str(self.data) in command or self._is_child(process)
            ):
                found.append(process)
        return found

    def _is_child(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("MILEPOST_PORT_BASE") == str(self.settings.port_base)
        except psutil.Error:
            return False

    def pid_of(self, name: str) -> int:
        """The process of one service."""
        [found] = [one for one in self.parts() if one.cmdline()[-2:] == ["run", name]]
        return found.pid


def start(data: Path, settings: Settings, *arguments: str, terminal: bool = False) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")}
    in_terminal = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])"]
    options = [f"--data={data}", f"--port-base={settings.port_base}"]
    return subprocess.Popen(
        [*(in_terminal if terminal else []), sys.executable, "-m", "milepost.cli", "up", *options, *arguments],
        env={**inherited, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def up(tmp_path: Path, free_settings: Callable[[], Settings]) -> Iterator[Callable[..., Up]]:
    """Starts `milepost up` on the test's folder; whatever is left of it is ended."""
    started: list[Up] = []

    def make(*arguments: str, terminal: bool = False) -> Up:
        settings = started[-1].settings if started else free_settings()
        started.append(Up(tmp_path / "data", settings, *arguments, terminal=terminal))
        return started[-1]

    yield make
    for one in started:
        one.close()


def nothing_is_left(up: Up, seconds: float = 5) -> bool:
    """Whether all of it ends; what was killed may take a moment to be gone."""
    deadline = time.monotonic() + seconds
    while up.parts() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not up.parts()


def ready(settings: Settings, service: Service) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", settings.port_of(service), timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


def post(settings: Settings, identity: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", settings.port_of(Service.ORDERS), timeout=30)
    try:
        headers = {"Content-Type": "application/cloudevents+json"}
        connection.request("POST", "/v1/events", EVENT % (identity, identity, identity), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def wait_for_event(settings: Settings, identity: str) -> None:
    """Until the event stands in the log that ClickHouse keeps."""
    deadline = time.monotonic() + 60
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        query = "SELECT count() FROM milepost.events WHERE subject = {id:String}"
        while client.query(query, parameters={"id": identity}).result_rows != [(1,)]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_life_of_a_platform(up: Callable[..., Up], tmp_path: Path, milepost: Command) -> None:
    first = up()
    settings = first.settings
    first.until("ready in", "logs are in")
    address = first.until("control room: ").split()[-1]
    with urlopen(address, timeout=30) as shown:
        assert "Hubs, worst first" in shown.read().decode()
    for service in (*EDGE_SERVICES, Service.PROCESSOR, Service.EXPORTER, Service.INSIGHTS, Service.AUDITOR):
        assert ready(settings, service) == 200, service
    assert post(settings, "before") == 202
    wait_for_event(settings, "before")

    # Where all is well the doctor finds nothing to mend.
    done = milepost(settings, "doctor", "--json", f"--data={first.data}", check=False)
    assert [one for one in json.loads(done.stdout)["findings"] if one["level"] == "fault"] == []
    assert done.returncode == 0

    # The same folder, and the same ports, are refused with the reason.
    folder = start(tmp_path / "data", settings)
    told, _ = folder.communicate(timeout=60)
    assert folder.returncode == 2
    assert f"(process {first.process.pid})" in told
    ports = start(tmp_path / "other", settings)
    told, _ = ports.communicate(timeout=60)
    assert ports.returncode == 2
    assert f"port {settings.port_of(Service.ORDERS)}, which orders needs, is taken" in told
    assert "--port-base" in told

    # What dies is started again, and said so.
    for name, pid in (("orders", first.pid_of("orders")), ("clickhouse", clickhouse_pid(first))):
        os.kill(pid, signal.SIGKILL)
        first.until(name, "was ended by SIGKILL; starting it again")
        first.until(name, "ready in")
    assert post(settings, "between") == 202
    wait_for_event(settings, "between")

    assert first.end() == 0
    assert nothing_is_left(first)

    # A second start goes on where the first was.
    second = up()
    second.until("ready in", "logs are in")
    wait_for_event(settings, "before")
    assert post(settings, "after") == 202
    wait_for_event(settings, "after")
    assert second.end(signal.SIGINT) == 0
    assert nothing_is_left(second)


def clickhouse_pid(up: Up) -> int:
    [found] = [one for one in up.parts() if "milepost.embedded.clickhouse" in one.cmdline()]
    return found.pid


@pytest.mark.parametrize(
    ("moment", "number"), [("clickhouse", signal.SIGTERM), ("kafka", signal.SIGINT), ("topics", signal.SIGHUP)]
)
def test_it_stops_whole_in_the_middle_of_its_start(up: Callable[..., Up], moment: str, number: signal.Signals) -> None:
    one = up("--no-prometheus")
    one.until(moment)
    assert one.end(number) == 0
    assert nothing_is_left(one)


@pytest.mark.parametrize("seconds", [0.3, 0.9])
def test_it_stops_whole_before_it_has_said_anything(up: Callable[..., Up], seconds: float) -> None:
    one = up("--no-prometheus")
    time.sleep(seconds)
    assert one.end() in (0, -signal.SIGTERM)
    assert nothing_is_left(one)


def test_kill_9_leaves_nothing_behind(up: Callable[..., Up]) -> None:
    one = up("--no-prometheus")
    one.until("topics")
    assert len(one.parts()) > 2
    one.process.kill()
    one.process.wait()
    assert nothing_is_left(one)
    again = up("--no-prometheus")
    again.until("topics", "done")
    assert again.end() == 0


def test_a_terminal_that_is_closed_takes_it_along(up: Callable[..., Up], tmp_path: Path) -> None:
    one = up(terminal=True)
    one.until("clickhouse")
    # What holds the terminal goes; the platform gets SIGHUP and has nowhere to write to.
    one.process.kill()
    assert one.process.wait() == -signal.SIGKILL
    assert nothing_is_left(one, STOP_SECONDS)


@pytest.mark.needs_prometheus
def test_prometheus_and_alertmanager_come_along(up: Callable[..., Up]) -> None:
    one = up()
    waited = {"prometheus", "alertmanager"}
    while waited:
        waited.discard(one.until("ready in").split()[0])
    assert one.end() == 0
    assert nothing_is_left(one)


def test_what_is_not_installed_is_said_in_one_line(
    up: Callable[..., Up], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    one = up()
    line = one.until("not installed")
    assert "Prometheus and Alertmanager not installed" in line
    assert "apt install prometheus prometheus-alertmanager" in line
    assert one.end() == 0


def test_the_doctor_says_what_is_not_there(milepost: Command, free_settings: Callable[[], Settings]) -> None:
    settings = free_settings()
    done = milepost(settings, "doctor", check=False)
    assert done.returncode == 1
    assert f"nothing answers at 127.0.0.1:{settings.port_of(Service.KAFKA)}" in done.stdout
    assert f"nothing answers at http://127.0.0.1:{settings.port_of(Service.ORDERS)}" in done.stdout
    assert "`milepost up`" in done.stdout
    found = json.loads(milepost(settings, "doctor", "--json", check=False).stdout)
    assert found["ok"] is False
    assert all(one["hint"] for one in found["findings"] if one["level"] == "fault")
