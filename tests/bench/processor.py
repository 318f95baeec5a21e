"""Events a second of one processor worker, from Kafka to ClickHouse, with everything on."""

from bench.fingerprint import Fingerprint, of_cells
from bench.stage import Stage
from bench.timeline import Run, watch
from milepost.settings import Service, Settings
from milepost.store.client import writer

LOOK_SECONDS = 0.25
"""Between two looks at the store: each costs the engine some milliseconds, which the worker must not pay for."""
_STORED = """
SELECT sum(reached) FROM (SELECT max(version) AS reached FROM kpi_store WHERE grain = 'cut' GROUP BY partition)
"""


def measure(stage: Stage, total: int, limit: float) -> tuple[Run, Fingerprint]:
    """Run a worker over the ``total`` records of the topic; the run, and what its KPI rows say."""
    settings = stage.database("processor")
    with stage.service(Service.PROCESSOR, settings) as process:
        run = watch(lambda: stored(settings), total, limit, process, stage.cpu, LOOK_SECONDS)
    numbers = of_cells(settings)
    stage.forget(settings)
    return run, numbers


def stored(settings: Settings) -> int:
    """Records that are in the store, complete, over all partitions."""
    with writer(settings) as store:
        return int(store.query(_STORED)[0][0] or 0)
