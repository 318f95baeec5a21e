"""`make chaos`: faults against the platform under load. Prints its seed and a table; 1 where a promise broke."""

import argparse
import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from chaos import report
from chaos.campaign import Campaign, Plan
from chaos.faults import FAULTS
from chaos.stage import Stage
from chaos.verdict import judge

BUILD = Path(__file__).parents[2] / "build"
LONG = 50
"""From so many faults on, two of the broker's outages last a whole minute."""


def main() -> None:
    """Attack, judge, report."""
    options = _options()
    plan = Plan(
        seed=str(options.seed),
        faults=options.faults,
        limit_seconds=options.limit,
        minute_outages=options.minutes if options.minutes is not None else 2 * (options.faults >= LONG),
        kinds=tuple(options.kind),
    )
    unknown = set(plan.kinds) - {fault.name for fault in FAULTS}
    if unknown:
        sys.exit(f"no such fault: {', '.join(unknown)}; there are: {'; '.join(fault.name for fault in FAULTS)}")
    _say(f"chaos: seed {plan.seed}, {plan.faults} faults, at most {plan.limit_seconds:g} s to the right number")
    folder = Path(tempfile.mkdtemp(prefix="milepost-chaos-"))
    good = False
    try:
        good = asyncio.run(_run(plan, folder, options.json))
    except asyncio.CancelledError:
        _say("told to stop")
    finally:
        if options.keep or not good:
            kept = options.json.parent / f"chaos-logs-{plan.seed}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder / "logs", kept)
            _say(f"the logs are in {kept}")
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)


async def _run(plan: Plan, folder: Path, path: Path) -> bool:
    began = time.monotonic()
    running = asyncio.current_task()
    assert running is not None
    # So that everything started is stopped.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    async with Stage(folder, _say) as stage:
        skipped = report.skipped_kinds(stage.disk.absent, FAULTS)
        campaign = Campaign(plan, stage, _say)
        await campaign.run()
        blocks = [*campaign.blocks.values(), campaign.trickle]
        verdict = await asyncio.to_thread(judge, stage.settings, blocks, campaign.promises)
    found = report.lines(campaign, verdict, skipped)
    report.write(path, campaign, verdict, found, time.monotonic() - began)
    print(f"\n{report.table(found)}\n")
    acknowledged = sum(len(block.acknowledged) for block in (*campaign.blocks.values(), campaign.trickle))
    _say(f"{acknowledged:,} events acknowledged, {verdict.copies:,} more copies of them on the topic")
    _say(f"{len(campaign.promises.fates)} promises fell due meanwhile")
    for fault in verdict.faults[:20]:
        _say(f"WRONG: {fault}")
    late, wavered = (sum(line[name] for line in found) for name in ("late", "wavered"))
    if late:
        _say(f"LATE: {late} times more than {plan.limit_seconds:g} s")
    if wavered:
        _say(f"WAVERED: {wavered} times numbers that had been right were wrong for a while")
    good = verdict.good and not late + wavered and not any(one.wrong for one in campaign.rounds)
    _say(f"seed {plan.seed}: {'the promise was kept' if good else 'the promise BROKE'}")
    return good


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="draws everything")
    parser.add_argument("--faults", type=int, default=20, help="rounds")
    parser.add_argument("--limit", type=float, default=30.0, help="most seconds to the right number")
    parser.add_argument("--minutes", type=int, help="outages of the broker that last a whole minute")
    parser.add_argument("--kind", action="append", default=[], help="only this kind of fault; may be repeated")
    parser.add_argument("--json", type=Path, default=BUILD / "chaos.json")
    parser.add_argument("--keep", action="store_true", help="keep the logs although all went well")
    return parser.parse_args()


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    main()
