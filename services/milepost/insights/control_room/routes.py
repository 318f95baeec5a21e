"""The pages' routes: the control room, a hub, orders by state, one order."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from milepost.edge.credentials import Gate
from milepost.edge.problems import ProblemError
from milepost.insights.control_room import figures, looks, ranking, sla_figures
from milepost.insights.control_room.access import visitor
from milepost.insights.control_room.pages import DEFAULT_ZONE, STATIC, Asked, page
from milepost.insights.control_room.sharing import Found, Shared
from milepost.reading.orders import STATES, OrderPage, find_orders
from milepost.reading.question import QuestionError
from milepost.reading.sla.asked import Wanted
from milepost.reading.sla.lives import OPEN_STATES
from milepost.reading.sla.open import SlaPage, find_open
from milepost.reading.timeline import Timeline
from milepost.store.client import Store

PATHS = ("/", "/hub", "/orders", "/order", "/sla")
"""What the service counts and times."""
A_PAGE = 100
_STATIC = {"control-room.css": "text/css", "control-room.js": "text/javascript", "milepost.svg": "image/svg+xml"}
_STATIC_HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}

Window = Annotated[str, Query(max_length=10)]
Zone = Annotated[str, Query(max_length=64)]
Id = Annotated[str, Query(max_length=128)]


def control_room_router(store: Store, gate: Gate) -> APIRouter:
    """The pages, over ``store``, for those whom ``gate`` lets read; several who look at once cost as much as one."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    overviews: Shared[looks.Overview] = Shared()
    hubs: Shared[looks.HubLook] = Shared()
    lists: Shared[OrderPage] = Shared()
    orders: Shared[Timeline | str] = Shared()
    open_slas: Shared[SlaPage] = Shared()

    @router.get("/")
    async def control_room(request: Request, window: Window = looks.DEFAULT_VIEW, tz: Zone = DEFAULT_ZONE) -> Response:
        async def view(asked: Asked, merchant: str | None) -> Response:
            def look() -> looks.Overview:
                return looks.overview(store, datetime.now(UTC), asked.view, hub_id=None, merchant=merchant)

            found = await overviews.get((asked.view.window, merchant), look)
            return _overview(request, asked, found)

        return await _shown(request, gate, window, tz, view)

    @router.get("/hub")
    async def hub(
        request: Request, hub_id: Annotated[Id, Query(alias="id")], window: Window = looks.DEFAULT_VIEW,
        tz: Zone = DEFAULT_ZONE,
    ) -> Response:  # fmt: skip
        async def view(asked: Asked, merchant: str | None) -> Response:
            def look() -> looks.HubLook:
                return looks.hub_look(store, datetime.now(UTC), asked.view, hub_id, merchant)

            found = await hubs.get((hub_id, asked.view.window, merchant), look)
            return _hub(request, asked, hub_id, found)

        return await _shown(request, gate, window, tz, view)

    @router.get("/orders")
    async def orders_in_state(
        request: Request, *, state: str = "overdue", hub_id: Id | None = None, cursor: str | None = None,
        window: Window = looks.DEFAULT_VIEW, tz: Zone = DEFAULT_ZONE,
    ) -> Response:  # fmt: skip
        async def view(asked: Asked, merchant: str | None) -> Response:
            where = {"hub_id": hub_id, "merchant_id": merchant}

            def look() -> OrderPage:
                return find_orders(store, datetime.now(UTC), state, where=where, limit=A_PAGE, cursor=cursor)

            found = await lists.get((state, hub_id, cursor, merchant), look)
            return page(
                request, "orders.html", asked, fault=found.fault, status=_status(found), orders=found.look,
                state=state, hub_id=hub_id, first=cursor is None, states=tuple(STATES),
            )  # fmt: skip

        return await _shown(request, gate, window, tz, view)

    @router.get("/sla")
    async def slas(
        request: Request, *, state: Id | None = None, hub_id: Id | None = None, cursor: str | None = None,
        window: Window = looks.DEFAULT_VIEW, tz: Zone = DEFAULT_ZONE,
    ) -> Response:  # fmt: skip
        async def view(asked: Asked, merchant: str | None) -> Response:
            wanted = Wanted(hub_id=hub_id, state=state, merchant_id=merchant)

            def look() -> SlaPage:
                return find_open(store, datetime.now(UTC), wanted, limit=A_PAGE, cursor=cursor)

            found = await open_slas.get((wanted, cursor), look)
            return page(
                request, "sla.html", asked, fault=found.fault, status=_status(found), slas=found.look, state=state,
                hub_id=hub_id, first=cursor is None, states=OPEN_STATES,
            )  # fmt: skip

        return await _shown(request, gate, window, tz, view)

    @router.get("/order")
    async def order(
        request: Request, order_id: Annotated[Id, Query(alias="id")], window: Window = looks.DEFAULT_VIEW,
        tz: Zone = DEFAULT_ZONE,
    ) -> Response:  # fmt: skip
        async def view(asked: Asked, merchant: str | None) -> Response:
            def look() -> Timeline | str:
                said = f"nothing was ever heard of an order {order_id!r}"
                return looks.order_look(store, datetime.now(UTC), order_id.strip(), merchant) or said

            found = await orders.get((order_id, merchant), look)
            if isinstance(found.look, str):
                raise ProblemError(404, found.look)
            return page(
                request, "order.html", asked, fault=found.fault, status=_status(found), order=found.look,
                order_id=order_id,
            )  # fmt: skip

        return await _shown(request, gate, window, tz, view)

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in _STATIC:
            raise ProblemError(404, f"there is no file {name!r}")
        return FileResponse(STATIC / name, media_type=_STATIC[name], headers=_STATIC_HEADERS)

    return router


async def _shown(
    request: Request, gate: Gate, window: str, tz: str, view: Callable[[Asked, str | None], Awaitable[Response]]
) -> Response:
    """The view for whoever may see it, and a page that says why where it cannot be shown."""
    try:
        credential = await asyncio.to_thread(visitor, request, gate)
        return await view(Asked(window, tz), credential.merchant)
    except QuestionError as error:
        refused = ProblemError(422, str(error))
    except ProblemError as error:
        refused = error
    return page(
        request, "refused.html", Asked(looks.DEFAULT_VIEW, DEFAULT_ZONE), status=refused.status,
        headers=refused.headers, heading=HTTPStatus(refused.status).phrase, detail=refused.detail,
    )  # fmt: skip


def _status(found: Found[Any]) -> int:
    """503 only where there is nothing at all to show: old numbers are shown as such."""
    return 503 if found.look is None else 200


def _overview(request: Request, asked: Asked, found: Found[looks.Overview]) -> Response:
    look = found.look
    if look is None:
        return page(request, "control_room.html", asked, fault=found.fault, status=503, look=None)
    return page(
        request, "control_room.html", asked, fault=found.fault, watermark=look.watermark, as_of=look.as_of, look=look,
        hubs=figures.hub_lines(ranking.worst_first(look.hubs)), **_figures(look),
    )  # fmt: skip


def _hub(request: Request, asked: Asked, hub_id: str, found: Found[looks.HubLook]) -> Response:
    if found.look is None:
        return page(request, "hub.html", asked, fault=found.fault, status=503, look=None, hub_id=hub_id)
    look = found.look.overview
    return page(
        request, "hub.html", asked, fault=found.fault, watermark=look.watermark, as_of=look.as_of, look=look,
        hub_id=hub_id, slas=found.look.slas, overdue=found.look.overdue, opened=found.look.open, **_figures(look),
    )  # fmt: skip


def _figures(look: looks.Overview) -> dict[str, Any]:
    return {
        "now_tiles": figures.now_tiles(look.rows),
        "risk": sla_figures.risk_tile(look.slas),
        "at_risk_by_hub": {hub.hub_id: hub.at_risk for hub in look.slas if hub.at_risk},
        "tiles": [
            *(figures.ratio_tile(look.rows[name]) for name in figures.RATIOS),
            figures.duration_tile(look.rows["delivery_time"]),
        ],
        "pace": figures.pace_tile(look),
        "outcome": figures.outcome(look.rows),
        "stages": figures.stage_bars(look.rows),
    }
