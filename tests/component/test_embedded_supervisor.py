"""The supervisor over small real processes: order of starting, restarts, order of stopping, nothing left behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from milepost.embedded.group import run_together
from milepost.embedded.ports import is_free, taken
from milepost.embedded.process import Part, cut, launch, leash, stop
from milepost.embedded.supervisor import State, Status, Supervisor, TaskFailedError, stages

LISTEN = """
import socket, sys, time, signal
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[2], 'a').write(sys.argv[3] + chr(10)), sys.exit(0)))
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True: time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def python(name: str, code: str, *arguments: str, port: int | None = None) -> Part:
    return Part(name, (sys.executable, "-S", "-c", code, *arguments), port, stop_seconds=1.0)


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    """Where the listeners write their names when they are told to stop."""
    return tmp_path / "ended"


@pytest.fixture
def listener(ended: Path) -> Callable[[str], Part]:
    """Makes a part that listens on a free port."""

    def make(name: str) -> Part:
        port = free_port()
        return python(name, LISTEN, str(port), str(ended), name, port=port)

    return make


def names_in(path: Path) -> list[str]:
    return path.read_text().split()


def wait_for_text(path: Path) -> None:
    while not path.read_text():
        time.sleep(0.01)


SILENT = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        lives = self.path == '/readyz' or os.path.exists(sys.argv[2])
        self.send_response(200 if lives else 503)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
"""


class Run:
    """A supervisor in the background, and what it said."""

    def __init__(self, parts: list[Part], logs: Path) -> None:
        self.said: list[Status] = []
        self.stop, self.kill = asyncio.Event(), asyncio.Event()
        self.supervisor = Supervisor(parts, logs, self.said.append)
        self.task = asyncio.create_task(self.supervisor.run(self.stop, self.kill))

    async def until(self, name: str, state: State, count: int = 1) -> Status:
        """Wait until a part has been in a state so many times."""
        while True:
            seen = [status for status in self.said if status.part.name == name and status.state is state]
            if len(seen) >= count:
                return seen[-1]
            assert not self.task.done(), self.task
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        self.stop.set()
        await self.task


def states(run: Run, *wanted: State) -> list[tuple[str, State]]:
    return [(status.part.name, status.state) for status in run.said if status.state in wanted]


async def test_parts_start_after_what_they_need_and_stop_by_stages(
    tmp_path: Path, listener: Callable[[str], Part], ended: Path
) -> None:
    engine = replace(listener("engine"), stop_stage=2)
    task = replace(python("task", "pass"), once=True, after=("engine",))
    service = replace(listener("service"), after=("task",), stop_stage=1)
    run = Run([service, task, engine], tmp_path)
    await run.supervisor.wait_ready()
    assert states(run, State.READY, State.DONE) == [
        ("engine", State.READY),
        ("task", State.DONE),
        ("service", State.READY),
    ]
    await run.end()
    assert names_in(ended) == ["service", "engine"]
    assert {status.state for status in run.supervisor.statuses.values()} == {State.STOPPED}


async def test_a_part_that_does_not_say_that_it_lives_is_ended_and_started_again(tmp_path: Path) -> None:
    port, life = free_port(), tmp_path / "life"
    life.touch()
    part = replace(
        python("part", SILENT, str(port), str(life), port=port),
        ready_path="/readyz",
        alive_path="/healthz",
        alive_seconds=0.5,
    )
    run = Run([part], tmp_path)
    await run.until("part", State.READY)
    # It is left alone while it says so, and it is not its readiness that counts.
    await asyncio.sleep(1.5)
    assert states(run, State.RESTARTING) == []
    life.unlink()
    assert (await run.until("part", State.RESTARTING)).note == "was ended by SIGKILL"
    life.touch()
    await run.until("part", State.READY, 2)
    await run.end()


async def test_a_part_that_ends_is_started_again_and_said_so(tmp_path: Path, listener: Callable[[str], Part]) -> None:
    part = listener("part")
    run = Run([part], tmp_path)
    await run.until("part", State.READY)
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] == list(part.argv):
            process.kill()
    again = await run.until("part", State.RESTARTING)
    assert again.note == "was ended by SIGKILL"
    await run.until("part", State.READY, 2)
    await run.end()


async def test_what_a_part_announces_while_starting_is_passed_on(
    tmp_path: Path, listener: Callable[[str], Part]
) -> None:
    listening = listener("part")
    code = f"import time\nprint('milepost: fetching', flush=True)\ntime.sleep(0.5)\n{LISTEN}"
    run = Run([replace(listening, argv=(sys.executable, "-S", "-c", code, *listening.argv[4:]))], tmp_path)
    await run.until("part", State.READY)
    assert "fetching" in {status.note for status in run.said if status.state is State.STARTING}
    await run.end()


async def test_a_task_that_keeps_failing_stops_everything_with_its_words(
    tmp_path: Path, listener: Callable[[str], Part], ended: Path
) -> None:
    task = replace(python("task", "import sys; sys.exit('the reason')"), once=True, after=("engine",))
    run = Run([listener("engine"), task], tmp_path)
    with pytest.raises(TaskFailedError, match="the reason"):
        await run.task
    assert names_in(ended) == ["engine"]


async def test_what_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    part = python("stubborn", STUBBORN)
    run = Run([part], tmp_path)
    await run.until("stubborn", State.READY)
    await asyncio.to_thread(wait_for_text, tmp_path / "stubborn.log")
    await run.end()
    assert not alive(part)


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    part = replace(python("stubborn", STUBBORN), stop_seconds=600.0)
    run = Run([part], tmp_path)
    await run.until("stubborn", State.READY)
    run.kill.set()
    await run.end()
    assert not alive(part)


async def test_stopping_before_anything_is_ready(tmp_path: Path, listener: Callable[[str], Part]) -> None:
    never = replace(python("never", "import time; time.sleep(60)"), port=free_port())
    waiting = replace(listener("waiting"), after=("never",))
    run = Run([never, waiting], tmp_path)
    await run.until("never", State.STARTING)
    await run.end()
    assert not alive(never)
    assert not alive(waiting)


def alive(part: Part) -> bool:
    return any(process.info["cmdline"] == list(part.argv) for process in psutil.process_iter(["cmdline"]))


def test_what_a_part_started_itself_is_stopped_with_it() -> None:
    inner = python("inner", "import time; time.sleep(61.5)")
    outer = python("outer", "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)", *inner.argv)
    process = launch(outer, None)
    while not alive(inner):
        time.sleep(0.01)
    stop(process, 1.0)
    while alive(inner):
        time.sleep(0.01)


def test_a_part_dies_with_whoever_started_it() -> None:
    inner = python("inner", "import time; time.sleep(62.5)")
    code = (
        "import time; from milepost.embedded.process import Part, launch;"
        f"launch(Part('inner', {inner.argv!r}, None), None); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code])
    while not alive(inner):
        time.sleep(0.01)
    owner.kill()
    owner.wait()
    while alive(inner):
        time.sleep(0.01)


def test_a_leash_whose_holder_is_gone_starts_nothing(tmp_path: Path) -> None:
    command = leash()
    command[-1] = "1"
    done = subprocess.run([*command, "touch", str(tmp_path / "started")], check=False)
    assert done.returncode == 1
    assert not (tmp_path / "started").exists()


@pytest.fixture
def together() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Runs two workers as one, the second with the given code."""
    started = []

    def start(code: str) -> subprocess.Popen[bytes]:
        program = (
            "import sys; from milepost.embedded.group import run_together; from milepost.embedded.process import Part;"
            "sleeper = Part('a', (sys.executable, '-S', '-c', 'import time; time.sleep(63.5)'), None);"
            f"sys.exit(run_together([sleeper, Part('b', (sys.executable, '-S', '-c', {code!r}), None)]))"
        )
        started.append(subprocess.Popen([sys.executable, "-c", program]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


SLEEPER = python("a", "import time; time.sleep(63.5)")


@pytest.mark.parametrize(("code", "exit_code"), [("raise SystemExit(7)", 7), ("pass", 1)])
def test_workers_end_together_when_one_ends(
    together: Callable[[str], subprocess.Popen[bytes]], code: str, exit_code: int
) -> None:
    assert together(code).wait(30) == exit_code
    assert not alive(SLEEPER)


def test_workers_end_together_when_told(together: Callable[[str], subprocess.Popen[bytes]]) -> None:
    process = together("import time; time.sleep(60)")
    while not alive(SLEEPER):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert not alive(SLEEPER)


def test_running_together_gives_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert run_together([python("a", "raise SystemExit(3)")]) == 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_taken_ports_are_named_with_their_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        other = free_port()
        [found] = taken([Part("a", ("x",), other), Part("b", ("x",), None, other_ports=(port,))])
        assert (found.port, found.part) == (port, "b")
        assert str(os.getpid()) in found.holder
    assert is_free(port)


def test_stages_are_in_order() -> None:
    parts = [Part(name, ("x",), None, stop_stage=stage) for name, stage in (("a", 2), ("b", 0), ("c", 2), ("d", 1))]
    assert [[part.name for part in stage] for stage in stages(parts)] == [["b"], ["d"], ["a", "c"]]


def test_a_log_that_grew_is_cut_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 100)
        cut(log, limit=200)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "part.log.1").read_bytes() == b"old\n" * 50
