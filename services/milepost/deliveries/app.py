"""The HTTP app of the deliveries service."""

from fastapi import FastAPI

from milepost.contracts.catalogue import ARRIVED, ATTEMPT_FAILED, DELIVERED, ETA_UPDATED, LOST, PICKED_UP, RETURNED
from milepost.edge.app import create_edge
from milepost.edge.forms import Form
from milepost.settings import Service, Settings

FORMS = (
    Form("POST", "/v1/orders/{order_id}/pickup", PICKED_UP, "The courier has it"),
    Form("POST", "/v1/orders/{order_id}/eta", ETA_UPDATED, "The courier's expected arrival"),
    Form("POST", "/v1/orders/{order_id}/arrival", ARRIVED, "The courier is at the door"),
    Form("POST", "/v1/orders/{order_id}/failed-attempts", ATTEMPT_FAILED, "It was not handed over, and why"),
    Form("POST", "/v1/orders/{order_id}/delivery", DELIVERED, "It was handed over"),
    Form("POST", "/v1/orders/{order_id}/return", RETURNED, "It came back"),
    Form("POST", "/v1/orders/{order_id}/loss", LOST, "It will not come"),
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The deliveries service; ``settings`` from the environment if not given."""
    return create_edge(Service.DELIVERIES, FORMS, settings)
