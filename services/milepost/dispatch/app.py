"""The HTTP app of the dispatch service."""

from fastapi import FastAPI

from milepost.contracts.catalogue import ASSIGNED, DEPARTED, READY, UNASSIGNED
from milepost.edge.app import create_edge
from milepost.edge.forms import Form
from milepost.settings import Service, Settings

FORMS = (
    Form("POST", "/v1/orders/{order_id}/ready", READY, "Picked, packed, waiting for a courier"),
    Form("POST", "/v1/orders/{order_id}/assignment", ASSIGNED, "A courier is given the order"),
    Form("DELETE", "/v1/orders/{order_id}/assignment", UNASSIGNED, "The order is taken from its courier"),
    Form("POST", "/v1/orders/{order_id}/departure", DEPARTED, "It left the hub"),
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The dispatch service; ``settings`` from the environment if not given."""
    return create_edge(Service.DISPATCH, FORMS, settings)
