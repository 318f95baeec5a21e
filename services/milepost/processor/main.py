"""One processor worker as a process."""

import gc
import logging

import faust

from milepost.processor.app import build_app
from milepost.settings import Settings
from milepost.store.client import writer
from milepost.store.currency import check_currency

GC_THRESHOLDS = (200_000, 1_000_000, 1_000_000)
"""The young are looked at, in their hundreds of thousands; what has grown old is not looked at again and again."""


def run(settings: Settings, index: int = 0) -> None:
    """Run worker ``index`` until it is told to stop; raises ``SystemExit`` with its exit code.

    Stops at once with the store's error where the schema is missing or the database keeps another currency.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    store = writer(settings)
    check_currency(store, settings)
    # Facts, keys and rows hold no cycles, and there are millions of them for long.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    worker = faust.Worker(build_app(settings, store, index), loglevel="INFO", redirect_stdouts=False, logfile=None)
    worker.execute_from_commandline()
