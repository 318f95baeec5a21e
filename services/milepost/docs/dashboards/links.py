"""Links from a value to the dashboard that says more of it."""

from typing import Any


def to(uid: str, title: str, **variables: str) -> dict[str, Any]:
    """A link to another of the dashboards that keeps the time range and sets ``variables``."""
    chosen = "".join(f"var-{name}={value}&" for name, value in variables.items())
    return {"title": title, "url": f"/d/{uid}?{chosen}${{__url_time_range}}", "targetBlank": False}


def to_hub(value: str = "${__data.fields.hub_id}") -> dict[str, Any]:
    """To a hub's scorecard."""
    return to("milepost-hub", "The hub's scorecard", hub=value)


def to_order(value: str = "${__data.fields.order_id}") -> dict[str, Any]:
    """To an order's timeline."""
    return to("milepost-order", "The order's timeline", order=value)


def to_courier() -> dict[str, Any]:
    """To a courier's scorecard."""
    fields = "${__data.fields.%s}"
    return to("milepost-courier", "The courier's scorecard", hub=fields % "hub_id", courier=fields % "courier_id")
