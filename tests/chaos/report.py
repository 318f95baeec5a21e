"""The campaign's table, for people and as JSON."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chaos.campaign import Campaign
from chaos.faults import FAULTS, Fault
from chaos.verdict import Verdict

Line = dict[str, Any]


def lines(campaign: Campaign, verdict: Verdict, skipped: dict[str, str]) -> list[Line]:
    """One line a kind of fault."""
    found = []
    for fault in FAULTS:
        rounds = [one for one in campaign.rounds if one.fault == fault.name]
        names = [campaign.blocks[one.number].name for one in rounds]
        if not rounds and fault.name not in skipped:
            continue
        found.append(
            {
                "fault": fault.name,
                "times": len(rounds),
                "longest_seconds": round(max((one.seconds for one in rounds), default=0.0), 1),
                "late": sum(one.seconds > campaign.plan.limit_seconds for one in rounds),
                "wavered": sum(bool(one.wavered) for one in rounds),
                "lost": sum(verdict.lost[name] for name in names),
                "double": sum(verdict.double[name] for name in names),
                "skipped": skipped.get(fault.name),
            }
        )
    return found


def table(found: Iterable[Line]) -> str:
    """The lines as a Markdown table with a line of sums."""
    rows = ["| fault kind | times | longest time to right | lost | double |", "| --- | ---: | ---: | ---: | ---: |"]
    sums: Counter[str] = Counter()
    longest = 0.0
    for line in found:
        sums.update({name: line[name] for name in ("times", "lost", "double")})
        longest = max(longest, line["longest_seconds"])
        if line["skipped"]:
            rows.append(f"| {line['fault']} | SKIPPED: {line['skipped']} | | | |")
            continue
        cells = (line["fault"], line["times"], f"{line['longest_seconds']:.1f} s", line["lost"], line["double"])
        rows.append(f"| {' | '.join(map(str, cells))} |")
    rows.append(f"| **all** | {sums['times']} | {longest:.1f} s | {sums['lost']} | {sums['double']} |")
    return "\n".join(rows)


def write(path: Path, campaign: Campaign, verdict: Verdict, found: list[Line], seconds: float) -> None:
    """Everything, as JSON."""
    document = {
        "seed": campaign.plan.seed,
        "faults": len(campaign.rounds),
        "seconds": round(seconds),
        "events": sum(len(block.acknowledged) for block in (*campaign.blocks.values(), campaign.trickle)),
        "copies_on_the_topic": verdict.copies,
        "table": found,
        "wrong_in_the_end": verdict.faults,
        "rounds": [
            {
                "number": one.number,
                "fault": one.fault,
                "what": one.what,
                "seconds": round(one.seconds, 2),
                "wrong": one.wrong[:20],
                "wavered": one.wavered[:20],
            }
            for one in campaign.rounds
        ],
        "waits": campaign.waits,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def skipped_kinds(absent: str | None, kinds: Iterable[Fault]) -> dict[str, str]:
    """Why some kinds cannot be done on this machine."""
    return {fault.name: absent for fault in kinds if fault.needs_disk and absent is not None}
