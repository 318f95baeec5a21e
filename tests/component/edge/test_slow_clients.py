"""Slow, silent, greedy and too many clients before a real server process: each is cut or told, the rest is served."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.embedded.process import Part, environment, spawn, stop, wait_ready
from milepost.settings import Service, Settings

PATIENCE = 1.5
CONNECTIONS = 40
REQUESTS = 8
HOLD = 4
"""Half of the requests: what a sender may have in hand alone."""
LIMIT_SECONDS = 15.0


class Server:
    """``milepost run orders`` with narrow limits, two senders' keys, and no broker."""

    def __init__(self, settings: Settings, keys: list[str]) -> None:
        self.port = settings.port_of(Service.ORDERS)
        self.url = settings.url_of(Service.ORDERS)
        self.keys = keys

    def head(self, length: int, key: int = 0, kind: str = "application/cloudevents+json") -> bytes:
        """The head of a request with a body of ``length`` bytes."""
        return (
            f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
            f"Authorization: Bearer {self.keys[key]}\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    def connect(self) -> socket.socket:
        """A connection, with little room for what is not read."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(LIMIT_SECONDS)
        made.connect(("127.0.0.1", self.port))
        return made

    def metric(self, series: str) -> float:
        """The value of a series, which must exist."""
        text = httpx.get(f"{self.url}/metrics").text
        (line,) = (line for line in text.splitlines() if line.startswith(f"{series} "))
        return float(line.rsplit(" ", 1)[1])

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, free_settings: Callable[[], Settings]) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("edge")
    made = [new_key(name, (Right.WRITE,), f"/{name}", None) for name in ("flood", "other")]
    write_keys(folder / "keys.json", KeyFile(tuple(stored for _, stored in made)))
    settings = free_settings().model_copy(
        update={
            "kafka": "127.0.0.1:1",
            "keys": folder / "keys.json",
            "edge_patience_seconds": PATIENCE,
            "edge_connections": CONNECTIONS,
            "edge_requests": REQUESTS,
        }
    )
    command = (sys.executable, "-m", "milepost.cli", "run", "orders")
    part = Part("orders", command, settings.port_of(Service.ORDERS), "/healthz", environment=environment(settings))
    process: subprocess.Popen[bytes] = spawn(part, folder / "log")
    try:
        wait_ready(part, process, 60, folder / "log")
        yield Server(settings, [key for key, _ in made])
    finally:
        stop(process, 20)
        assert "Traceback" not in (folder / "log").read_text()


def _rest(client: socket.socket) -> bytes:
    """All that the server says until it closes the connection."""
    found = b""
    try:
        while part := client.recv(65_536):
            found += part
    except ConnectionResetError:
        return found
    return found


def _was_cut(client: socket.socket, dribble: bytes) -> bool:
    """Whether the server ends the connection of a client that goes on sending ``dribble`` now and then."""
    try:
        for _ in range(int(LIMIT_SECONDS / 0.05)):
            client.sendall(dribble)
            time.sleep(0.05)
    except OSError:
        return True
    return False


def _answer(client: socket.socket) -> tuple[int, dict[str, str], dict[str, object]]:
    """One answer: status, headers, problem document."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = client.recv(65_536)
        assert part, found
        found += part
    head, body = found.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    while len(body) < int(headers["content-length"]):
        body += client.recv(65_536)
    return int(lines[0].split()[1]), headers, json.loads(body)


def test_a_head_that_comes_byte_by_byte_is_cut(server: Server) -> None:
    cut = server.metric('milepost_edge_cut_connections_total{reason="head"}')
    began = time.monotonic()
    with server.connect() as client:
        for byte in server.head(10):
            try:
                client.send(bytes([byte]))
            except OSError:
                break
            time.sleep(0.02)
        said = _rest(client)
    assert b" 408 " in said or not said
    assert time.monotonic() - began < PATIENCE * 3
    assert server.metric('milepost_edge_cut_connections_total{reason="head"}') == cut + 1


def test_blank_lines_do_not_keep_a_connection_alive(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        _answer(client)
        assert _was_cut(client, b"\r\n")


def test_a_body_that_dribbles_is_answered_and_cut(server: Server) -> None:
    with server.connect() as client:
        client.sendall(server.head(1_000))
        try:
            for _ in range(100):
                client.sendall(b" ")
                time.sleep(0.05)
        except OSError:
            pass
        assert b" 408 " in _rest(client)


def test_a_body_that_goes_on_after_its_answer_is_cut(server: Server) -> None:
    cut = server.metric('milepost_edge_cut_connections_total{reason="rest"}')
    with server.connect() as client:
        client.sendall(server.head(100_000).replace(server.keys[0].encode(), b"unknown"))
        status, _, _ = _answer(client)
        assert status == 401
        assert _was_cut(client, b" ")
    assert server.metric('milepost_edge_cut_connections_total{reason="rest"}') == cut + 1


def test_who_does_not_read_the_answers_is_cut(server: Server) -> None:
    cut = server.metric('milepost_edge_cut_connections_total{reason="unread"}')
    with server.connect() as client:
        # Some megabytes of answers, far more than the system keeps for a reader.
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.settimeout(0.5)
        try:
            for _ in range(200):
                client.sendall(request)
        except OSError:
            pass
        server.until(lambda: server.metric('milepost_edge_cut_connections_total{reason="unread"}') == cut + 1)
    assert server.metric("milepost_edge_requests_in_hand") == 0


def test_one_senders_flood_is_told_to_wait_and_others_are_served(server: Server) -> None:
    refused = server.metric('milepost_edge_refusals_total{reason="sender"}')
    with ExitStack() as open_ones:
        for _ in range(HOLD):
            client = open_ones.enter_context(server.connect())
            client.sendall(server.head(100))
        server.until(lambda: server.metric("milepost_edge_requests_in_hand") == HOLD)
        late = open_ones.enter_context(server.connect())
        # Told before any of its body is there.
        late.sendall(server.head(100))
        status, headers, document = _answer(late)
        assert (status, headers["content-type"]) == (429, "application/problem+json")
        assert int(headers["retry-after"]) > 0
        assert re.search("'flood' has under way .4 requests.* send this one again", str(document["detail"]))
        other = open_ones.enter_context(server.connect())
        other.sendall(server.head(2, key=1) + b"{}")
        assert _answer(other)[0] == 422
        assert server.metric('milepost_edge_refusals_total{reason="sender"}') == refused + 1
        assert server.metric("milepost_edge_bytes_in_hand") == HOLD * 100
    server.until(lambda: server.metric("milepost_edge_requests_in_hand") == 0)


def test_too_many_connections_are_told_so_at_once_and_health_is_still_answered(server: Server) -> None:
    with ExitStack() as open_ones:
        for _ in range(CONNECTIONS):
            open_ones.enter_context(server.connect())
        time.sleep(0.1)
        began = time.monotonic()
        late = open_ones.enter_context(server.connect())
        late.sendall(server.head(2) + b"{}")
        status, headers, document = _answer(late)
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        assert "too many connections" in str(document["detail"])
        assert time.monotonic() - began < PATIENCE / 3
        probe = open_ones.enter_context(server.connect())
        probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert _answer(probe)[0] == 200
    server.until(lambda: httpx.post(f"{server.url}/v1/events").status_code == 401)
    assert server.metric('milepost_edge_refusals_total{reason="connections"}') >= 1
