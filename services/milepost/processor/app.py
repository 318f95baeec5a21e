"""The Faust application: one agent over chunks of the lifecycle topic, and what hangs on its life."""

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from milepost.bus.policies import PolicyFollower
from milepost.contracts import topics
from milepost.processor.arrival.intake import Rejected
from milepost.processor.arrival.transport import Chunk, ChunkTransport, ConsumerFeed, Offsets
from milepost.processor.ending import SETTLED_SECONDS, EndingApp
from milepost.processor.engine import Engine
from milepost.processor.liveness import Liveness, StalledError
from milepost.processor.patience import PATIENCE, patiently
from milepost.processor.report import Report
from milepost.processor.sla.telling import sla_message
from milepost.processor.sla.watch import Told
from milepost.processor.writing.letters import dead_letter_message
from milepost.processor.writing.sink import Sink
from milepost.settings import Service, Settings
from milepost.store.client import Store
from milepost.store.offset_bases import offset_bases

log = logging.getLogger(__name__)

CHUNK_RECORDS = 5_000
CHUNKS_WAITING = 8
WATCH_SECONDS = 5.0
PAUSES_SECONDS = 1.0
ENDS_SECONDS = 5.0


class ChunkSchema(faust.Schema[Any, Any]):
    """Keys and values are handed on as the transport made them."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        """No key: a chunk has many."""
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """The chunk itself."""
        return message.value


def build_app(settings: Settings, store: Store, index: int = 0) -> faust.App:
    """A processor worker's Faust application; ``index`` counts the workers of one machine, for their web ports."""
    app = EndingApp(
        settings.consumer_group,
        broker=[f"kafka://{server}" for server in settings.kafka_servers.split(",")],
        store="memory://",
        # Nothing is kept there, but Faust makes the folder: not where the worker happens to be started.
        datadir=Path(tempfile.gettempdir(), "milepost-faust"),
        autodiscover=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_host=settings.host,
        web_port=settings.port or settings.port_of(Service.PROCESSOR, index),
        web_bind=settings.host,
        broker_commit_interval=1.0,
        broker_max_poll_records=CHUNK_RECORDS,
        broker_max_poll_interval=24 * 3600.0,
        # The heartbeats have a thread of their own; a worker that was killed is missed after this long.
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        broker_request_timeout=300.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_buffer_maxsize=CHUNKS_WAITING,
        stream_wait_empty=False,
        producer_acks=-1,
        # A dead letter that the broker has not taken by then ends the worker, and is published by the next one.
        producer_request_timeout=120.0,
    )
    report = Report()
    dead_letters = app.topic(topics.DEAD_LETTERS.name, key_serializer="raw", value_serializer="raw")

    async def publish_dead_letters(rejected: Sequence[Rejected]) -> None:
        sent = [await dead_letters.send(**dead_letter_message(one)) for one in rejected]
        await asyncio.gather(*sent)

    slas = app.topic(topics.SLA.name, key_serializer="raw", value_serializer="raw")

    async def publish_slas(told: Sequence[Told]) -> None:
        sent = [await slas.send(**sla_message(one)) for one in told]
        await asyncio.gather(*sent)

    feed = ConsumerFeed(app)
    sink = Sink(store, publish_dead_letters, publish_slas)
    follower = PolicyFollower(settings.kafka_servers)
    engine = Engine(
        settings, store, sink, report, feed.end_offset, feed.partition_count, feed, lambda: follower.current
    )
    liveness = Liveness(engine, settings.stall_seconds, feed.given)

    async def bases() -> dict[int, int]:
        return await patiently(offset_bases, store)

    offsets = Offsets(engine.assign, lambda: engine.cuts, lambda: engine.readings, bases, lambda: engine.paused)
    app.transport = ChunkTransport(app.conf.broker, app, offsets)

    @app.agent(app.topic(topics.LIFECYCLE.name, schema=ChunkSchema()))
    async def lifecycle(chunks: Any) -> None:
        async for event in chunks.noack().events():
            chunk: Chunk = event.value
            try:
                await engine.apply(chunk.partition, chunk.records, chunk.reading)
            except Exception as error:
                # Faust would restart the agent behind the chunk, which would then be lost: end the worker instead.
                await app.crash(error)
                raise

    @app.service
    class Flusher(faust.Service):
        async def on_start(self) -> None:
            await follower.start()

        async def on_stop(self) -> None:
            await follower.stop()

        @faust.Service.task
        async def _flush(self) -> None:
            await engine.run()

        @faust.Service.task
        async def _look_at_pauses(self) -> None:
            while not self.should_stop:
                await self.sleep(PAUSES_SECONDS)
                await engine.look_at_pauses()

        @faust.Service.task
        async def _watch_slas(self) -> None:
            await engine.watch_slas()

        @faust.Service.task
        async def _ask_ends(self) -> None:
            while not self.should_stop:
                await self.sleep(ENDS_SECONDS)
                if not app.rebalancing:
                    await feed.ask_ends()

        @faust.Service.task
        async def _watch(self) -> None:
            while not self.should_stop:
                liveness.arm()
                await self.sleep(min(WATCH_SECONDS, settings.stall_seconds / 4))
                fault = liveness.fault()
                if fault:
                    raise StalledError(fault)

    @app.on_partitions_revoked.connect
    async def release(_app: Any, /, *_: Any, **__: Any) -> None:
        if feed.is_member():
            await engine.release(app.consumer.commit)
            return
        if engine.partitions:
            log.warning("the group has not heard of us for too long: our partitions are others', we write nothing more")
        engine.let_go()

    @app.on_before_shutdown.connect
    async def shut_down(_app: Any, /, *_: Any, **__: Any) -> None:
        await engine.release(app.consumer.commit, SETTLED_SECONDS)

    _add_pages(app, report, liveness, engine)
    return app


def _add_pages(app: faust.App, report: Report, liveness: Liveness, engine: Engine) -> None:
    @app.page("/healthz")
    async def healthz(web: Any, request: Any) -> Any:
        fault = liveness.fault()
        return web.json({"status": "stuck" if fault else "alive", "fault": fault}, status=503 if fault else 200)

    @app.page("/readyz")
    async def readyz(web: Any, request: Any) -> Any:
        missing = []
        if app.rebalancing or not liveness.assigned:
            missing.append("no partitions assigned yet")
        if PATIENCE.failures:
            missing.append(f"the store is away: {PATIENCE.last_failure}")
        missing += [
            f"partition {number} waits before offset {pause.offset} ({pause.reason}): mend what is wrong, then "
            f"`milepost dead-letters resume --partition {number}`"
            for number, pause in sorted(engine.paused.items())
        ]
        return web.json({"ready": not missing, "missing": missing}, status=503 if missing else 200)

    @app.page("/metrics")
    async def metrics(web: Any, request: Any) -> Any:
        return web.bytes(generate_latest(report.registry), content_type=CONTENT_TYPE_LATEST.split(";")[0])
