"""Who may see the pages: the same keys as for the API, as a browser can present them."""

import base64
import binascii

from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from milepost.access.keys import Credential, Right
from milepost.edge.credentials import Gate
from milepost.edge.problems import ProblemError

CHALLENGE = 'Basic realm="milepost", charset="UTF-8"'


def visitor(request: Request, gate: Gate) -> Credential:
    """Whose page it is. Raises ``ProblemError`` 401, which asks a browser for a key, or 403.

    A browser knows no ``Bearer``; the key as the password of ``Basic``, under any name, means the same here. It is
    taken by these pages alone, which change nothing: a browser sends it along with requests of other sites, too.
    """
    headers = {}
    key = _password(request.headers.get("authorization", ""))
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    if request.headers.get("sec-fetch-mode") == "navigate" and request.headers.get("sec-fetch-dest") == "document":
        # Somebody followed a link, from a dashboard or an alert: the page opens where no other site can read it.
        headers["sec-fetch-site"] = "none"
    try:
        return gate.admit(_with(request, headers), Right.READ)
    except ProblemError as error:
        if error.status == 401:
            said = "send the key as the password, under any name" if key is None else error.detail
            raise ProblemError(401, said, headers={"WWW-Authenticate": CHALLENGE}) from error
        raise


def _password(authorization: str) -> str | None:
    """The password of ``Basic`` credentials; None where there are none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return decoded.partition(":")[2]


def _with(request: Request, changed: dict[str, str]) -> Request:
    headers = MutableHeaders(raw=list(request.scope["headers"]))
    headers.update(changed)
    return Request({**request.scope, "headers": headers.raw})
