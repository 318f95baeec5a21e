"""`docs/schemas/`: the JSON Schema of each event type's complete CloudEvent."""

import json
import re

from milepost.contracts.catalogue import EventType
from milepost.contracts.schemas import event_schema


def render(kind: EventType) -> str:
    """The text of the type's schema file."""
    return markdown(json.dumps(event_schema(kind), indent=2, ensure_ascii=False)) + "\n"


def markdown(text: str) -> str:
    """A docstring's text as Markdown has it."""
    return re.sub(r"(?<!`)``(?!`)", "`", text)
