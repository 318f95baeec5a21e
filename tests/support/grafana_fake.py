"""The part of Grafana's HTTP API that `milepost grafana` uses, after its documentation; no Grafana could be had."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Json = dict[str, Any]
TOKEN = "glsa_right"


@dataclass
class Fake:
    """What it holds: folders by uid, the versions of dashboards by uid, datasources; and what is provisioned."""

    folders: dict[str, str] = field(default_factory=dict)
    dashboards: dict[str, list[Json]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    sources: set[str] = field(default_factory=lambda: {"milepost-clickhouse", "milepost-prometheus"})
    provisioned: set[str] = field(default_factory=set)
    rights: str = "Editor"
    url: str = ""

    def save(self, document: Json, message: str, by: str = "somebody", folder: str = "") -> Json:
        """A new version of a dashboard, as by a click on Save."""
        uid = document["uid"]
        versions = self.dashboards.setdefault(uid, [])
        number = len(versions) + 1
        kept = {**document, "id": 7, "version": number}
        versions.append({"version": number, "message": message, "createdBy": by, "data": kept})
        self.places[uid] = folder or self.places.get(uid, "")
        return {"uid": uid, "version": number, "status": "success"}

    def answer(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        """Status and content for a request."""
        if path == "/api/health":
            return 200, {"database": "ok", "version": "13.1.1"}
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        if path == "/api/folders":
            return self._folders(method, body)
        if path == "/api/dashboards/db":
            return self._save(body)
        if match := re.fullmatch(r"/api/dashboards/uid/([\w-]+)(/versions)?", path):
            return self._read(match[1], versions=bool(match[2]))
        if match := re.fullmatch(r"/api/datasources/uid/([\w-]+)", path):
            return (200, {"uid": match[1]}) if match[1] in self.sources else (404, {"message": "Data source not found"})
        if path == "/api/frontend/settings":
            return 200, {"buildInfo": {"version": "13.1.1"}}
        return 404, {"message": f"the fake does not know {method} {path}"}

    def _folders(self, method: str, body: Any) -> tuple[int, Any]:
        if method == "GET":
            return 200, [{"uid": uid, "title": title} for uid, title in self.folders.items()]
        if self.rights != "Editor":
            return 403, {"message": "You'll need additional permissions"}
        uid = body.get("uid") or f"folder-{len(self.folders)}"
        self.folders[uid] = body["title"]
        return 200, {"uid": uid, "title": body["title"]}

    def _read(self, uid: str, *, versions: bool) -> tuple[int, Any]:
        if uid not in self.dashboards:
            return 404, {"message": "Dashboard not found"}
        if versions:
            listed = [{name: one[name] for name in ("version", "message", "createdBy")} for one in self.dashboards[uid]]
            return 200, {"continueToken": "", "versions": listed[::-1]}
        meta = {"folderUid": self.places[uid], "provisioned": uid in self.provisioned}
        return 200, {"dashboard": self.dashboards[uid][-1]["data"], "meta": meta}

    def _save(self, body: Json) -> tuple[int, Any]:
        document, uid = body["dashboard"], body["dashboard"]["uid"]
        if self.rights != "Editor":
            return 403, {"message": "You'll need additional permissions"}
        if uid in self.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        now = len(self.dashboards.get(uid, ()))
        if not body["overwrite"] and document["version"] != now:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        return 200, self.save(document, body["message"], "milepost", body["folderUid"])


@contextmanager
def serving(fake: Fake) -> Iterator[Fake]:
    """``fake`` at ``fake.url``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            sent = self.rfile.read(size)
            body = json.loads(sent) if sent.startswith(b"{") else None
            path = self.path.split("?")[0]
            status, content = fake.answer(self.command, path, body, self.headers.get("authorization", ""))
            answer = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Nothing is worth a line."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
