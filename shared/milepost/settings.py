"""Every setting of Milepost, read once from ``MILEPOST_*`` environment variables."""

from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Service(StrEnum):
    """Every process that has a port of its own, named as in ``milepost run``."""

    ORDERS = "orders"
    DISPATCH = "dispatch"
    DELIVERIES = "deliveries"
    FEEDBACK = "feedback"
    COSTS = "costs"
    INSIGHTS = "insights"
    EXPORTER = "exporter"
    AUDITOR = "auditor"
    PROCESSOR = "processor"
    CLICKHOUSE = "clickhouse"
    PROMETHEUS = "prometheus"
    KAFKA = "kafka"
    KAFKA_CONTROLLER = "kafka-controller"
    ALERTMANAGER = "alertmanager"


PORT_OFFSETS: dict[Service, int] = {
    Service.ORDERS: 101,
    Service.DISPATCH: 102,
    Service.DELIVERIES: 103,
    Service.FEEDBACK: 104,
    Service.COSTS: 105,
    Service.INSIGHTS: 110,
    Service.EXPORTER: 111,
    Service.AUDITOR: 112,
    Service.PROCESSOR: 120,
    Service.CLICKHOUSE: 123,
    Service.PROMETHEUS: 1090,
    Service.KAFKA: 1092,
    Service.ALERTMANAGER: 1093,
    Service.KAFKA_CONTROLLER: 1094,
}
"""A port is ``port_base`` plus its offset; processor workers after the first take the next two."""

EDGE_SERVICES = (
    Service.ORDERS,
    Service.DISPATCH,
    Service.DELIVERIES,
    Service.FEEDBACK,
    Service.COSTS,
)

MAX_EMBEDDED_WORKERS = PORT_OFFSETS[Service.CLICKHOUSE] - PORT_OFFSETS[Service.PROCESSOR]


SECRETS_FOLDER = Path("/run/secrets")
"""Where a container's secrets are mounted: a file ``milepost_<field>`` there is that setting, the environment first."""


class Settings(BaseSettings):
    """What an installation decides; each field is the variable ``MILEPOST_<FIELD>``, or a mounted secret."""

    model_config = SettingsConfigDict(
        env_prefix="MILEPOST_",
        frozen=True,
        extra="ignore",
        secrets_dir=SECRETS_FOLDER if SECRETS_FOLDER.is_dir() else None,
    )

    port_base: int = Field(8000, ge=1024, le=60_000, description="Base every embedded port is counted from.")
    host: str = Field("127.0.0.1", description="Address the HTTP services listen on.")
    port: int | None = Field(
        None, description="Port of the one service `milepost run` starts; its base plus offset if unset."
    )
    kafka: str | None = Field(None, description="Bootstrap servers, host:port[,host:port].")
    clickhouse: str | None = Field(None, description="URL of ClickHouse's HTTP interface.")
    clickhouse_user: str = Field("default", description="ClickHouse user that may write.")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="Its password.")
    clickhouse_reader: str = Field("milepost_reader", description="Read-only ClickHouse user the migrations make.")
    clickhouse_reader_password: SecretStr = Field(
        SecretStr(""), description="Its password; without one the user is not made."
    )
    database: str = Field("milepost", pattern=r"^[a-z][a-z0-9_]{0,62}$", description="ClickHouse database.")
    currency: str = Field(
        "EUR", pattern=r"^[A-Z]{3}$", description="Reporting currency (ISO 4217), fixed at the first migration."
    )
    keys: Path | None = Field(
        None, description="File of hashed API keys; without one only loopback callers are served."
    )
    edge: str | None = Field(None, description="URL of the edge service that `milepost send` posts to.")
    edge_key: SecretStr | None = Field(None, description="API key `milepost send` and the live simulator present.")
    insights: str | None = Field(None, description="URL of the insights API.")
    prometheus: str | None = Field(None, description="URL of Prometheus.")
    alertmanager: str | None = Field(None, description="URL of Alertmanager.")
    grafana: str | None = Field(None, description="URL of the Grafana that `milepost grafana` talks to.")
    grafana_token: SecretStr = Field(
        SecretStr(""), description="Token of a service account there, with the role Editor."
    )
    partitions: int = Field(
        4, ge=1, le=512, description="Partitions of the lifecycle topic when it is made; never changed after."
    )
    replication: int = Field(1, ge=1, le=7, description="Replication factor of topics when they are made.")
    topic_retention_days: int = Field(30, ge=1, description="How long the lifecycle topic keeps a record.")
    order_retention_days: int = Field(
        400, ge=1, le=36_500, description="How long orders and their events are kept after the last one came."
    )
    quota_producer_bytes: int | None = Field(
        None,
        ge=0,
        description="Bytes a second that the clients of one Kafka client id may produce to a broker, set by "
        "`milepost topics apply`; 0 takes the quota away, unset leaves it alone.",
    )
    quota_consumer_bytes: int | None = Field(None, ge=0, description="The same for what it fetches.")
    quota_request_percent: int | None = Field(
        None, ge=0, description="The same for its share of the broker's request threads, in percent of one thread."
    )
    consumer_group: str = Field("milepost-processor", description="Kafka consumer group of the processor.")
    flush_seconds: float = Field(
        0.5, gt=0, le=60, description="Longest time the processor holds events before it writes them."
    )
    flush_events: int = Field(100_000, ge=1, description="Events after which the processor writes without waiting.")
    cache_orders: int = Field(500_000, ge=1_000, description="Orders a processor worker keeps in memory.")
    cache_minutes: int = Field(400_000, ge=1_000, description="KPI minute rows a processor worker keeps in memory.")
    failure_share: float = Field(
        0.5, gt=0, le=1, description="A partition pauses when more than this share of its last records fails."
    )
    failure_window: int = Field(1_000, ge=1, description="How many last records that share is taken of.")
    failure_run: int = Field(200, ge=1, description="A partition pauses when so many records in a row fail.")
    stall_seconds: float = Field(
        60.0, ge=2, description="A worker ends itself when a partition does not move for so long while it lags."
    )
    canary_seconds: float = Field(60.0, ge=1, description="How often the auditor sends a canary order.")
    reconcile_seconds: float = Field(
        180.0, ge=1, description="How often the auditor reconciles the last day; seldomer where that takes long."
    )
    max_body_bytes: int = Field(5 * 1024 * 1024, ge=1024, description="Largest request body the edge reads.")
    max_batch_events: int = Field(10_000, ge=1, description="Most events in one request.")
    publish_timeout_seconds: float = Field(
        10.0, gt=0, description="How long the edge waits for the broker before it answers 503."
    )
    edge_requests: int = Field(
        1_000,
        ge=2,
        description="Most requests an edge process has in hand; one sender alone gets half, of two a third each.",
    )
    edge_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="Most bytes of bodies an edge process has in hand, shared likewise."
    )
    edge_target_seconds: float = Field(
        1.0, gt=0, description="Time to an answer that the edge aims at: where it takes longer, less is taken in."
    )
    edge_connections: int = Field(1_000, ge=1, description="Most connections open to an edge process.")
    edge_patience_seconds: float = Field(
        30.0,
        gt=0,
        description="How long a client may take to send a body or to read an answer; a third of it to send a head.",
    )

    def port_of(self, service: Service, index: int = 0) -> int:
        """TCP port of ``service`` on this machine; ``index`` counts processor workers."""
        return self.port_base + PORT_OFFSETS[service] + index

    def url_of(self, service: Service, index: int = 0) -> str:
        """Loopback URL of ``service`` in the embedded platform."""
        return f"http://127.0.0.1:{self.port_of(service, index)}"

    @property
    def kafka_servers(self) -> str:
        """Bootstrap servers: the setting, else the embedded broker."""
        return self.kafka or f"127.0.0.1:{self.port_of(Service.KAFKA)}"

    @property
    def clickhouse_url(self) -> str:
        """ClickHouse's HTTP interface: the setting, else the embedded engine."""
        return self.clickhouse or self.url_of(Service.CLICKHOUSE)

    @property
    def edge_url(self) -> str:
        """Where events are posted: the setting, else the embedded orders service (all of them take every type)."""
        return self.edge or self.url_of(Service.ORDERS)

    @property
    def insights_url(self) -> str:
        """The insights API: the setting, else the embedded one."""
        return self.insights or self.url_of(Service.INSIGHTS)

    @property
    def prometheus_url(self) -> str:
        """Prometheus: the setting, else the embedded one."""
        return self.prometheus or self.url_of(Service.PROMETHEUS)

    @property
    def alertmanager_url(self) -> str:
        """Alertmanager: the setting, else the embedded one."""
        return self.alertmanager or self.url_of(Service.ALERTMANAGER)


@lru_cache(maxsize=1)
def load() -> Settings:
    """The process's settings; read from the environment at the first call."""
    return Settings()
