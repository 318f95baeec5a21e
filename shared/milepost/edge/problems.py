"""Errors as RFC 9457 problem documents."""

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from milepost.contracts.event import Fault

_log = logging.getLogger(__name__)


class ProblemError(Exception):
    """A request that cannot be answered as asked; ``create_edge`` turns it into a problem document.

    ``extra`` are further members of the document.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        faults: list[Fault] | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = faults
        self.headers = headers
        self.extra = extra

    def response(self) -> Response:
        """The answer to send."""
        return problem(self.status, self.detail, faults=self.faults, headers=self.headers, extra=self.extra)


def problem(
    status: int,
    detail: str,
    *,
    faults: list[Fault] | None = None,
    headers: dict[str, str] | None = None,
    extra: dict[str, Any] | None = None,
) -> Response:
    """A problem document: ``type``, ``title``, ``status``, ``detail`` and ``errors: [{pointer, detail}]``."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [fault._asdict() for fault in faults or ()],
        **(extra or {}),
    }
    return Response(msgspec.json.encode(document), status, headers, "application/problem+json")


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document, also those of routing and of unforeseen faults."""

    @app.exception_handler(ProblemError)
    async def _problem(_request: Request, error: ProblemError) -> Response:
        return error.response()

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        details = {
            404: f"nothing is served at {request.url.path[:200]}; see /docs",
            405: f"{request.method} is not served at {request.url.path[:200]}; see /docs",
        }
        return problem(
            error.status_code,
            details.get(error.status_code, str(error.detail)),
            headers=dict(error.headers) if error.headers else None,
        )

    @app.exception_handler(RequestValidationError)
    async def _parameters(_request: Request, error: RequestValidationError) -> Response:
        faults = [
            Fault("/" + "/".join(str(part) for part in fault["loc"]), str(fault["msg"])) for fault in error.errors()
        ]
        return problem(422, "a parameter is not as documented", faults=faults)

    @app.exception_handler(Exception)
    async def _unforeseen(_request: Request, _error: Exception) -> Response:
        return problem(500, "an error on our side; it is in the log of this service")
