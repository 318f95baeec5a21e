"""Our dashboards in somebody's Grafana: what is there, whose it is, and putting ours there without losing theirs.

Grafana keeps a message with each version of a dashboard. Ours says which of our texts it was made of, so a newest
version with another message is a change that somebody made there.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

Document = dict[str, Any]

FOLDER_UID = "milepost"
SECONDS = 15.0
_MESSAGE = re.compile(r"^milepost grafana push ([0-9a-f]{16})")
_THEIRS = ("id", "version", "iteration")
"""Fields that Grafana sets."""


class GrafanaError(RuntimeError):
    """Grafana cannot be asked, or refuses; the text says what to do."""


class State(StrEnum):
    """How a dashboard in Grafana stands to ours."""

    ABSENT = "new"
    SAME = "same"
    OLDER = "ours, older"
    CHANGED = "changed there"
    FOREIGN = "not ours"


@dataclass(frozen=True)
class Stored:
    """A dashboard as it is in Grafana; ``pushed`` is the digest of our text its newest version was made of."""

    document: Document
    version: int
    folder_uid: str
    provisioned: bool
    pushed: str | None
    ever_pushed: bool
    changed_by: str


def digest(document: Document) -> str:
    """What tells one text of a dashboard from another."""
    return hashlib.sha256(json.dumps(plain(document), sort_keys=True).encode()).hexdigest()[:16]


def plain(document: Document) -> Document:
    """The dashboard without what Grafana sets."""
    return {name: value for name, value in document.items() if name not in _THEIRS}


def state(ours: Document, stored: Stored | None) -> State:
    """How ``stored`` stands to ``ours``."""
    if stored is None:
        return State.ABSENT
    if stored.pushed == digest(ours) or plain(stored.document) == plain(ours):
        return State.SAME
    if stored.pushed is not None:
        return State.OLDER
    return State.CHANGED if stored.ever_pushed else State.FOREIGN


def with_sources(document: Document, uids: Mapping[str, str]) -> Document:
    """The dashboard with other datasources in place of ours; ``uids`` maps our uid to theirs."""

    def replaced(node: Any) -> Any:
        if isinstance(node, list):
            return [replaced(item) for item in node]
        if not isinstance(node, dict):
            return node
        changed = {name: replaced(value) for name, value in node.items()}
        source = changed.get("datasource")
        if isinstance(source, dict) and source.get("uid") in uids:
            changed["datasource"] = {**source, "uid": uids[source["uid"]]}
        return changed

    found: Document = replaced(document)
    return found


def difference(ours: Document, theirs: Document, uid: str) -> list[str]:
    """What would change there, line by line; nothing where they are the same."""
    old, new = (
        json.dumps(plain(one), indent=2, sort_keys=True, ensure_ascii=False).split("\n") for one in (theirs, ours)
    )
    return list(difflib.unified_diff(old, new, f"grafana/{uid}", f"milepost/{uid}", lineterm=""))


class Grafana:
    """Somebody's Grafana, by the library grafana-client."""

    def __init__(self, url: str, token: str) -> None:
        """Talk to the Grafana at ``url`` with a service account's ``token``.

        Raises:
            GrafanaError: grafana-client is not installed here, or ``url`` is none.
        """
        try:
            from grafana_client import GrafanaApi, TokenAuth
        except ImportError as error:
            raise GrafanaError(
                "grafana-client is not installed here. It replaces urllib3 for everything beside it, so it has an "
                "environment of its own: `make grafana-env`, then `.venv-grafana/bin/milepost grafana …` "
                "(or install milepost[grafana] into a new environment)."
            ) from error
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise GrafanaError(f"{url!r} is no address of a Grafana; write it like https://grafana.example.com")
        self.url = url
        self._api = GrafanaApi.from_url(url, TokenAuth(token=token), timeout=SECONDS)

    def check(self) -> str:
        """Grafana's version, once it answers and takes the token. Raises ``GrafanaError``."""
        with self._told("read its dashboards"):
            found = self._api.health.check()
            self._api.folder.get_all_folders()
        return str(found.get("version", "of an unknown version"))

    def stored(self, uid: str) -> Stored | None:
        """The dashboard ``uid``; None where there is none. Raises ``GrafanaError``."""
        with self._told(f"read {uid}"):
            found = self._or_none(self._api.dashboard.get_dashboard, uid)
            if found is None:
                return None
            listed = self._api.dashboard_versions.get_dashboard_versions_by_uid(uid)
        versions = listed["versions"] if isinstance(listed, dict) else listed
        newest_first = sorted(versions, key=lambda one: one["version"], reverse=True)
        pushed = [match[1] if (match := _MESSAGE.match(one.get("message", ""))) else None for one in newest_first]
        meta = found["meta"]
        return Stored(
            found["dashboard"],
            int(found["dashboard"].get("version", 0)),
            str(meta.get("folderUid", "")),
            bool(meta.get("provisioned")),
            pushed[0] if pushed else None,
            any(pushed),
            str(newest_first[0].get("createdBy", "")) if newest_first else "",
        )

    def folder(self, title: str, *, make: bool) -> str | None:
        """The uid of the folder ``title``, made where ``make`` says so; None where there is none.

        Raises ``GrafanaError``.
        """
        with self._told(f"find the folder {title!r}"):
            for one in self._api.folder.get_all_folders():
                if one["title"] == title:
                    return str(one["uid"])
            if not make:
                return None
            return str(self._api.folder.create_folder(title, FOLDER_UID if title == "Milepost" else None)["uid"])

    def lacks_source(self, uid: str) -> bool:
        """Whether there is no datasource ``uid``; false where the token may not know. Raises ``GrafanaError``."""
        with self._told("look for its datasources"):
            try:
                return self._or_none(self._api.datasource.get_datasource_by_uid, uid) is None
            except Exception as error:
                if getattr(error, "status_code", None) == 403:
                    return False
                raise

    def put(self, document: Document, folder_uid: str, stored: Stored | None, *, force: bool) -> None:
        """Save the dashboard over ``stored`` as that was read: what was saved in between is not lost without ``force``.

        Raises ``GrafanaError``.
        """
        body = {**plain(document), "id": None, "version": stored.version if stored else 0}
        message = f"milepost grafana push {digest(document)}"
        asked = {"dashboard": body, "folderUid": folder_uid, "message": message, "overwrite": force}
        with self._told(f"save {document['uid']}"):
            self._api.dashboard.update_dashboard(asked)

    def _or_none(self, call: Any, uid: str) -> Any:
        try:
            return call(uid)
        except Exception as error:
            if getattr(error, "status_code", None) == 404:
                return None
            raise

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Every way in which Grafana may not do ``what``, in words."""
        from grafana_client.client import GrafanaException
        from niquests.exceptions import RequestException

        try:
            yield
        except GrafanaException as error:
            raise GrafanaError(f"Grafana at {self.url} does not {what}: {_reason(error)}") from error
        except (RequestException, OSError, ValueError) as error:
            raise GrafanaError(f"Grafana at {self.url} cannot be reached: {error}") from error
        except (KeyError, TypeError) as error:
            raise GrafanaError(f"{self.url} does not answer as a Grafana does: {error!r}") from error


def _reason(error: Any) -> str:
    said = {
        0: "it did not answer in time",
        401: "it does not know the token; make one for a service account, and see that it is whole",
        403: "the token may not; the service account needs the role Editor",
        412: "somebody has saved it meanwhile; look with `milepost grafana diff`, then push again",
    }
    return said.get(error.status_code, str(error.message))
