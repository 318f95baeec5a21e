"""``GET /v1/kpis``: the same answers as ``milepost kpi --json``."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from milepost.access.keys import Credential, Right
from milepost.contracts.event import Fault
from milepost.edge.credentials import Gate
from milepost.edge.problems import ProblemError
from milepost.insights.description import KPIS
from milepost.reading.kpis import answer
from milepost.reading.question import Question, QuestionError, ask
from milepost.store.client import Store

_encode = msgspec.json.Encoder().encode
_KPI = "KPIs, comma-separated or repeated; all but breach_warning if left out."


def kpis_router(store: Store, gate: Gate) -> APIRouter:
    """The route, over ``store``, for callers that ``gate`` lets read."""
    router = APIRouter(prefix="/v1", tags=["KPIs"])

    @router.get(
        "/kpis",
        summary="KPIs over any window of event time, by any dimensions",
        description="Minutes that have not ended are left out. A merchant's key sees that merchant alone.",
        response_class=Response,
        responses=KPIS,
    )
    async def kpis(
        request: Request,
        *,
        start: Annotated[
            str | None, Query(alias="from", description="First minute, with offset.", examples=["2026-03-01T00:00:00Z"])
        ] = None,
        end: Annotated[
            str | None, Query(alias="to", description="The minute after the last, with offset; now if left out.")
        ] = None,
        window: Annotated[
            str | None,
            Query(description="Instead of `from`: `90m`, `24h`, `30d` or `all`; `24h` if both are left out."),
        ] = None,
        by: Annotated[list[str], Query(description="Dimensions, comma-separated or repeated.")] = [],  # noqa: B006
        where: Annotated[list[str], Query(description="`dimension=value`; may be repeated.")] = [],  # noqa: B006
        kpi: Annotated[
            list[str], Query(description="KPIs, comma-separated or repeated; all but breach_warning if left out.")
        ] = [],  # noqa: B006
    ) -> Response:
        credential = gate.admit(request, Right.READ)
        now = datetime.now(UTC)
        try:
            question = ask(now, start=start, end=end, window=window, by=by, where=where, kpis=kpi)
        except QuestionError as error:
            raise bad_parameter(error) from error
        found = await asyncio.to_thread(answer, store, _permitted(question, credential), now)
        return Response(_encode(found), media_type="application/json")

    return router


def bad_parameter(error: QuestionError) -> ProblemError:
    """The refusal of a parameter, with its name as the pointer."""
    return ProblemError(422, "a parameter is not as documented", faults=[Fault(f"/query/{error.field}", str(error))])


def _permitted(question: Question, credential: Credential) -> Question:
    """The question, held to the merchant the caller stands for."""
    if credential.merchant is None:
        return question
    asked = dict(question.where).get("merchant_id", (credential.merchant,))
    if set(asked) != {credential.merchant}:
        raise ProblemError(403, f"the key of {credential.name!r} stands for {credential.merchant!r} only")
    where = {**dict(question.where), "merchant_id": (credential.merchant,)}
    return replace(question, where=tuple(where.items()))
