"""The broker's quotas for its clients: what the settings ask for, set as the default of every client.

kafka-python has the requests for it, and no call of its admin client that sends them.
"""

from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.protocol.admin import AlterClientQuotasRequest, DescribeClientQuotasRequest

from milepost.settings import Settings

CLIENT = "client-id"
_DEFAULT_NAME = 1
"""Kafka's number for: the entity without a name, which stands for all that have no quota of their own."""


class QuotaError(RuntimeError):
    """The broker does not set the quotas; the message says why."""


def declared(settings: Settings) -> dict[str, float | None]:
    """The quotas that the settings speak of, by Kafka's names for them; None for one that is to be taken away."""
    wanted = {
        "producer_byte_rate": settings.quota_producer_bytes,
        "consumer_byte_rate": settings.quota_consumer_bytes,
        "request_percentage": settings.quota_request_percent,
    }
    return {key: float(value) if value else None for key, value in wanted.items() if value is not None}


def look(admin: KafkaAdminClient) -> dict[str, float]:
    """The quotas that every client has by default. Raises ``QuotaError``."""
    component = DescribeClientQuotasRequest.ComponentData(entity_type=CLIENT, match_type=_DEFAULT_NAME, match=None)
    answer = _send(admin, DescribeClientQuotasRequest(components=[component], strict=True))
    if answer.error_code:
        raise QuotaError(f"the broker does not tell its quotas: {answer.error_message or answer.error_code}")
    return {value.key: value.value for entry in answer.entries or () for value in entry.values}


def apply(admin: KafkaAdminClient, settings: Settings) -> None:
    """Set the default quotas that the settings speak of; others stay as they are. Raises ``QuotaError``."""
    found = look(admin)
    operations = [
        AlterClientQuotasRequest.EntryData.OpData(key=key, value=value or 0.0, remove=value is None)
        for key, value in declared(settings).items()
        if found.get(key) != value
    ]
    if not operations:
        return
    entity = AlterClientQuotasRequest.EntryData.EntityData(entity_type=CLIENT, entity_name=None)
    entry = AlterClientQuotasRequest.EntryData(entity=[entity], ops=operations)
    for answered in _send(admin, AlterClientQuotasRequest(entries=[entry], validate_only=False)).entries:
        if answered.error_code:
            raise QuotaError(f"the broker does not set quotas: {answered.error_message or answered.error_code}")


def _send(admin: KafkaAdminClient, request: Any) -> Any:
    return admin._manager.run(admin._manager.send, request)
