"""The live city as a process: it posts at once and stands still when told to."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Edge(ThreadingHTTPServer):
    """Takes every batch and remembers the events."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.events: list[dict[str, object]] = []
        self.authorization: str | None = None
        self.posted = threading.Event()


class _Taker(BaseHTTPRequestHandler):
    server: Edge

    def do_POST(self) -> None:
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.events += events
        self.server.authorization = self.headers["Authorization"]
        answer = json.dumps({"accepted": len(events), "refused": [], "warnings": []}).encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.server.posted.set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def edge() -> Iterator[Edge]:
    with Edge() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_posts_its_history_and_stops_cleanly(edge: Edge, end: signal.Signals) -> None:
    url = f"http://127.0.0.1:{edge.server_address[1]}"
    process = subprocess.Popen(
        [sys.executable, "-m", "milepost.cli", "simulate", "--speed", "1", "--warm-up", "20", "--edge", url],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MILEPOST_EDGE_KEY": "secret"},
    )
    try:
        assert edge.posted.wait(30)
    finally:
        process.send_signal(end)
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 0, said
    assert "the city stands still" in said
    assert edge.authorization == "Bearer secret"
    assert any(event["type"] == "milepost.order.placed.v1" for event in edge.events)
