"""The event any service takes: an earlier event of the same subject counts as never sent."""

from typing import Literal

from milepost.contracts.fields import EventBody, EventReference


class EventRetracted(EventBody, frozen=True, kw_only=True):
    """The named event of the same subject counts as never sent, whether it comes before or after this."""

    retracts: EventReference
    reason: Literal["did_not_occur", "incorrect_data"]
