"""``GET /v1/orders`` and ``GET /v1/orders/{id}``: pages of orders by state, and one order's timeline."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from milepost.access.keys import Right
from milepost.edge.credentials import Gate
from milepost.edge.problems import ProblemError
from milepost.insights.description import ORDER, ORDERS
from milepost.insights.kpis import bad_parameter
from milepost.reading.orders import MOST_A_PAGE, STATES, find_order, find_orders
from milepost.reading.question import QuestionError
from milepost.store.client import Store

_encode = msgspec.json.Encoder().encode


def orders_router(store: Store, gate: Gate) -> APIRouter:
    """The routes, over ``store``, for callers that ``gate`` lets read."""
    router = APIRouter(prefix="/v1", tags=["orders"])

    @router.get(
        "/orders",
        summary="Orders in a state, by deadline",
        description=f"States: {', '.join(f'`{state}`' for state in STATES)}. Ask on with `next` as the `cursor`.",
        response_class=Response,
        responses=ORDERS,
    )
    async def orders(
        request: Request,
        *,
        state: Annotated[str, Query(description="What orders are asked for.", examples=["overdue"])] = "open",
        hub_id: Annotated[str | None, Query(description="Only this hub's.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_A_PAGE, description="Most orders in one answer.")] = 100,
        cursor: Annotated[str | None, Query(description="Where the page before ended.")] = None,
    ) -> Response:
        merchant = gate.admit(request, Right.READ).merchant
        where = {"hub_id": hub_id, "merchant_id": merchant}
        try:
            page = await asyncio.to_thread(
                find_orders, store, datetime.now(UTC), state, where=where, limit=limit, cursor=cursor
            )
        except QuestionError as error:
            raise bad_parameter(error) from error
        return Response(_encode(page), media_type="application/json")

    @router.get(
        "/orders/{order_id}",
        summary="One order's timeline",
        description="Every event, stage and promise, what the order counts for, and what went wrong with it.",
        response_class=Response,
        responses=ORDER,
    )
    async def order(request: Request, order_id: Annotated[str, Path(max_length=128)]) -> Response:
        merchant = gate.admit(request, Right.READ).merchant
        found = await asyncio.to_thread(find_order, store, order_id, datetime.now(UTC))
        if found is None or (merchant is not None and found.dimensions["merchant_id"] != merchant):
            raise ProblemError(404, f"nothing was ever heard of an order {order_id!r}")
        return Response(_encode(found), media_type="application/json")

    return router
