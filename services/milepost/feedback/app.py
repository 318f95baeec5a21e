"""The HTTP app of the feedback service."""

from fastapi import FastAPI

from milepost.contracts.catalogue import FEEDBACK_REQUESTED, FEEDBACK_SUBMITTED
from milepost.edge.app import create_edge
from milepost.edge.forms import Form
from milepost.settings import Service, Settings

FORMS = (
    Form("POST", "/v1/orders/{order_id}/feedback", FEEDBACK_SUBMITTED, "The customer answered a survey"),
    Form("POST", "/v1/orders/{order_id}/feedback-request", FEEDBACK_REQUESTED, "A survey was sent to the customer"),
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The feedback service; ``settings`` from the environment if not given."""
    return create_edge(Service.FEEDBACK, FORMS, settings)
