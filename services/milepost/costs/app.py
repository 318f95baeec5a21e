"""The HTTP app of the costs service."""

from fastapi import FastAPI

from milepost.contracts.catalogue import COST_RECORDED
from milepost.edge.app import create_edge
from milepost.edge.forms import Form
from milepost.settings import Service, Settings

FORMS = (Form("POST", "/v1/costs", COST_RECORDED, "A cost is recorded, or recorded again"),)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The costs service; ``settings`` from the environment if not given."""
    return create_edge(Service.COSTS, FORMS, settings)
