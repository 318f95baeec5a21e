"""Events the feedback service owns: surveys asked for and answered."""

from typing import Annotated

from msgspec import Meta

from milepost.contracts.fields import EventBody, Identifier, ShortText, Text


class FeedbackRequested(EventBody, frozen=True, kw_only=True):
    """A survey was sent to the customer."""

    order_id: Identifier
    channel: ShortText | None = None


class FeedbackSubmitted(EventBody, frozen=True, kw_only=True):
    """The customer answered; at least one of ``score`` and ``nps``."""

    order_id: Identifier
    score: Annotated[int, Meta(ge=1, le=5)] | None = None
    nps: Annotated[int, Meta(ge=0, le=10)] | None = None
    reasons: Annotated[list[ShortText], Meta(max_length=50)] | None = None
    comment: Text | None = None
