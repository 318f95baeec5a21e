"""The HTTP app of the orders service."""

from fastapi import FastAPI

from milepost.contracts.catalogue import CANCELLED, PLACED, PROMISE_CHANGED
from milepost.edge.app import create_edge
from milepost.edge.forms import Form
from milepost.settings import Service, Settings

FORMS = (
    Form("POST", "/v1/orders", PLACED, "An order is placed"),
    Form("PUT", "/v1/orders/{order_id}/promise", PROMISE_CHANGED, "The promise is changed"),
    Form("POST", "/v1/orders/{order_id}/cancellation", CANCELLED, "The order is cancelled"),
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The orders service; ``settings`` from the environment if not given."""
    return create_edge(Service.ORDERS, FORMS, settings)
