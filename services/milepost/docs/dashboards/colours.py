"""Colours that people with any colour vision can tell apart (Okabe and Ito, 2008), and what each says here."""

from typing import Any

BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, YELLOW = (
    "#0072B2",
    "#56B4E9",
    "#009E73",
    "#E69F00",
    "#D55E00",
    "#CC79A7",
    "#F0E442",
)
GREY = "#8C8C8C"
"""What is not known, and what is only there to compare with."""
IN_ORDER = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW, GREY)
"""For series that are no better or worse than each other."""

GOOD, BAD, WARNING = GREEN, VERMILLION, ORANGE
NO_DATA = "no data"


def fixed(colour: str) -> dict[str, Any]:
    """A field's colour, whatever its value."""
    return {"mode": "fixed", "fixedColor": colour}


def unknown_is_grey() -> list[dict[str, Any]]:
    """The value mapping that gives nothing a colour for want of data."""
    shown = {"text": NO_DATA, "color": GREY, "index": 0}
    return [{"type": "special", "options": {"match": "null+nan", "result": shown}}]


def steps(limit: float, *, higher_is_better: bool) -> dict[str, Any]:
    """Thresholds with one limit; on it is good."""
    if higher_is_better:
        return {"mode": "absolute", "steps": [{"color": BAD, "value": None}, {"color": GOOD, "value": limit}]}
    # A step begins at its value, and a value on the limit is still good.
    return {
        "mode": "absolute",
        "steps": [{"color": GOOD, "value": None}, {"color": BAD, "value": limit * (1 + 1e-9) if limit else 1e-9}],
    }


def plain(colour: str = BLUE) -> dict[str, Any]:
    """Thresholds of a number that nothing is promised about."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": None}]}
