"""Who calls an HTTP service, and whether they may."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request

from milepost.access.keys import LOOPBACK, Credential, Keyring, Right
from milepost.edge.problems import ProblemError
from milepost.settings import Settings

_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Gate:
    """Lets callers in by their ``Authorization: Bearer`` key; without a file of keys, only those on this machine.

    Usable by any HTTP service: ``gate.admit(request, Right.READ)``.
    """

    def __init__(self, settings: Settings) -> None:
        self._keyring = Keyring(settings.keys) if settings.keys is not None else None

    @property
    def fault(self) -> str | None:
        """What is wrong with the file of keys, for ``/readyz``; None where nothing is."""
        if self._keyring is None:
            return None
        self._keyring.refresh()
        return self._keyring.fault

    def admit(self, request: Request, right: Right) -> Credential:
        """The caller, who has ``right``. Raises ``ProblemError`` 401 or 403."""
        if self._keyring is None:
            if not is_loopback(request):
                raise ProblemError(403, "no keys are set up here, so only callers on this machine are served")
            if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                raise ProblemError(403, "a page of another site may not call here")
            if not _is_loopback_name(request.headers.get("host", "localhost")):
                # A name that leads here only since a moment ago makes another site's page look like ours.
                raise ProblemError(403, "no keys are set up here: call 127.0.0.1 or localhost, by no other name")
            return LOOPBACK
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        credential = self._keyring.find(key.strip()) if scheme.lower() == "bearer" else None
        if credential is None:
            said = "the key is unknown or revoked" if key else "send `Authorization: Bearer KEY`"
            error = ' error="invalid_token"' if key else ""
            raise ProblemError(
                401, said, headers={"WWW-Authenticate": f'Bearer realm="milepost"{error and "," + error}'}
            )
        if not credential.may(right):
            raise ProblemError(403, f"the key of {credential.name!r} has no {right.value} right")
        return credential


def is_loopback(request: Request) -> bool:
    """Whether the caller sits on this machine; a request that a proxy passed on counts as from elsewhere."""
    if request.client is None or not _is_loopback_address(request.client.host):
        return False
    headers = request.headers
    return not any(name in headers for name in _FORWARDING)


def _is_loopback_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name.removesuffix(".") == "localhost" or _is_loopback_address(name)


@lru_cache(maxsize=1024)
def _is_loopback_address(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
