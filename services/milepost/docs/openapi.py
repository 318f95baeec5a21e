"""`docs/openapi/`: the OpenAPI description of each service with an API, as it serves it itself."""

import importlib
import json

from fastapi import FastAPI

from milepost.settings import Service, Settings


def render(service: Service) -> str:
    """The text of the service's description."""
    app: FastAPI = importlib.import_module(f"milepost.{service.value}.app").create_app(Settings())
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
