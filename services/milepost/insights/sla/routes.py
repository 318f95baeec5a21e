"""``GET /v1/sla``, ``GET /v1/sla/events`` and ``GET /v1/sla/{order_id}``."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from milepost.access.keys import Right
from milepost.contracts.event import Fault
from milepost.domain.sla.words import RULES, State
from milepost.edge.credentials import Gate
from milepost.edge.problems import ProblemError
from milepost.insights.description import SLA_EVENTS, SLA_ORDER, SLAS
from milepost.insights.kpis import bad_parameter
from milepost.insights.sla.feed import CursorError, Feed, TooManyError
from milepost.insights.sla.stream import Streamed
from milepost.reading.question import QuestionError
from milepost.reading.sla.asked import Wanted
from milepost.reading.sla.events import SlaEvent
from milepost.reading.sla.open import MOST_A_PAGE, find_open
from milepost.reading.sla.orders import find_order_slas
from milepost.store.client import Store

PATHS = ("/v1/sla", "/v1/sla/events", "/v1/sla/{order_id}")
"""What the service counts and times."""
RETRY_AFTER_SECONDS = "5"
_RULES = ", ".join(f"`{rule}`" for rule in RULES)
_TOLD_STATES = tuple(state for state in State if state is not State.PENDING)

_encode = msgspec.json.Encoder().encode

Hub = Annotated[str | None, Query(max_length=128, description="Only this hub's.")]
Rule = Annotated[str | None, Query(description=f"Only this rule: {_RULES}.")]


def sla_router(store: Store, gate: Gate, feed: Feed) -> APIRouter:
    """The routes, over ``store`` and ``feed``, for callers that ``gate`` lets read."""
    router = APIRouter(prefix="/v1", tags=["SLAs"])

    @router.get(
        "/sla",
        summary="Open SLAs, at risk or breached, worst first",
        description="Acknowledged ones come last, breached before at risk, then the longest overdue, or the least "
        "likely to be kept. `summary` has all that is asked for, by hub. Ask on with `next` as the `cursor`. A "
        "merchant's key sees that merchant alone.",
        response_class=Response,
        responses=SLAS,
    )
    async def slas(
        request: Request,
        *,
        hub_id: Hub = None,
        rule: Rule = None,
        state: Annotated[str | None, Query(description="`at_risk` or `breached`; both if left out.")] = None,
        merchant_id: Annotated[str | None, Query(max_length=128, description="Only this merchant's.")] = None,
        acknowledged: Annotated[bool | None, Query(description="Only what somebody has, or nobody has.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_A_PAGE, description="Most SLAs in one answer.")] = 100,
        cursor: Annotated[str | None, Query(description="Where the page before ended.")] = None,
    ) -> Response:
        merchant = _merchant(gate, request, merchant_id)
        try:
            wanted = Wanted(hub_id, rule, state, merchant, acknowledged)
            page = await asyncio.to_thread(find_open, store, datetime.now(UTC), wanted, limit=limit, cursor=cursor)
        except QuestionError as error:
            raise bad_parameter(error) from error
        return Response(_encode(page), media_type="application/json")

    @router.get(
        "/sla/events",
        summary="What happens to SLAs, as server-sent events",
        description="Every state that an SLA reaches, about half a second after it was stored: `event: sla`. "
        "`trouble` and `mended` say that the store cannot be read, and can again; `gap` that more was missed than is "
        "told again. A client that comes back with `Last-Event-ID` misses nothing of the last 24 hours; it may be told "
        "some again, with the same `id` in the data.",
        response_class=Response,
        responses=SLA_EVENTS,
    )
    async def events(
        request: Request,
        *,
        hub_id: Hub = None,
        rule: Rule = None,
        state: Annotated[str | None, Query(description="Only this state, such as `breached`.")] = None,
        merchant_id: Annotated[str | None, Query(max_length=128, description="Only this merchant's.")] = None,
        last_event_id: Annotated[str | None, Header(max_length=300, description="Where to go on.")] = None,
    ) -> Response:
        merchant = _merchant(gate, request, merchant_id)
        try:
            listener = await feed.listen(_told(Wanted(hub_id, rule, None, merchant), state), last_event_id)
        except QuestionError as error:
            raise bad_parameter(error) from error
        except CursorError as error:
            raise ProblemError(422, str(error), faults=[Fault("/header/last-event-id", str(error))]) from error
        except TooManyError as error:
            raise ProblemError(503, str(error), headers={"Retry-After": RETRY_AFTER_SECONDS}) from error

        def may_listen() -> bool:
            # A key may be revoked while its holder listens.
            try:
                return _merchant(gate, request, merchant_id) == merchant
            except ProblemError:
                return False

        return Streamed(feed, listener, may_listen)

    @router.get(
        "/sla/{order_id}",
        summary="One order's SLAs, with their whole life",
        description="Every SLA of the order that was at risk or broken: which rule, by which policies, when and why, "
        "what happened next, and who took note.",
        response_class=Response,
        responses=SLA_ORDER,
    )
    async def order(request: Request, order_id: Annotated[str, Path(max_length=128)]) -> Response:
        merchant = gate.admit(request, Right.READ).merchant
        found = await asyncio.to_thread(find_order_slas, store, order_id, datetime.now(UTC))
        if found is None or (merchant is not None and found.merchant_id != merchant):
            raise ProblemError(404, f"nothing was ever heard of an order {order_id!r}")
        return Response(_encode(found), media_type="application/json")

    return router


def _merchant(gate: Gate, request: Request, asked: str | None) -> str | None:
    """The merchant whose SLAs the caller may see and asks for; None for all. Raises ``ProblemError``."""
    credential = gate.admit(request, Right.READ)
    if credential.merchant is not None and asked not in (None, credential.merchant):
        raise ProblemError(403, f"the key of {credential.name!r} stands for {credential.merchant!r} only")
    return credential.merchant or asked


def _told(wanted: Wanted, state: str | None) -> Callable[[SlaEvent], bool]:
    """Whether an event is one of those that are wanted. Raises ``QuestionError`` where there is no such state."""
    if state is not None and state not in _TOLD_STATES:
        raise QuestionError("state", f"there is no state {state!r}; there are {', '.join(_TOLD_STATES)}")
    asked = {"hub_id": wanted.hub_id, "rule": wanted.rule, "merchant_id": wanted.merchant_id, "state": state}
    named = [(name, value) for name, value in asked.items() if value is not None]
    return lambda event: all(getattr(event, name) == value for name, value in named)
