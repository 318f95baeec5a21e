"""The peers' runs: the same job on the same topic, and whether they come to the same numbers."""

from bench.fingerprint import Fingerprint, of_cells, of_sums
from bench.stage import Stage
from bench.timeline import Run, follow

FAUST = ("tables", "sums")
"""Where the Faust peer keeps the KPI minutes; see ``bench.peer_faust``."""


def faust(stage: Stage, total: int, limit: float, kpis: str) -> tuple[Run, Fingerprint]:
    """The Faust peer over the ``total`` records of the topic."""
    settings = stage.database(f"faust_{kpis}")
    notes = stage.folder / f"faust-{kpis}.txt"
    with stage.module("peer_faust", settings, str(notes), kpis) as process:
        run = follow(notes, total, limit, process, stage.cpu)
    numbers = of_sums(settings) if kpis == "sums" else of_cells(settings)
    stage.forget(settings)
    return run, numbers


def quixstreams(stage: Stage, total: int, limit: float) -> tuple[Run, Fingerprint]:
    """The quixstreams peer over the ``total`` records of the topic."""
    settings = stage.database("quixstreams")
    notes = stage.folder / "quixstreams.txt"
    with stage.module("peer_quix", settings, str(notes)) as process:
        run = follow(notes, total, limit, process, stage.cpu)
    numbers = of_sums(settings)
    stage.forget(settings)
    return run, numbers
