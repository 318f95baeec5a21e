"""`make prediction`: how well breaches are foreseen, on the simulated city and, where there are some, on real orders.

Everything is told by a replay that may not look ahead (``foresight``). Prints the tables of docs/sla.md.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from foresight import Look, Outcome, Rule, Trace, area, city, judge, naive, real_orders, replay, trace

from milepost.domain.sla.policy import Limits
from milepost.domain.sla.prediction import Forecast

MINUTE = 60_000_000
DAY = 1440 * MINUTE
Cases = Mapping[tuple[str, int], bool]


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(prog="prediction", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000, help="of the simulated city")
    parser.add_argument("--seed", default="7")
    options = parser.parse_args()
    show(
        f"The simulated city, {options.orders:,} orders, seed {options.seed}",
        trace(city(options.orders, options.seed), "EUR"),
        (MINUTE, "min"),
        (5, 10, 15, 20, 30, 45, 60),
    )
    data = os.environ.get("MILEPOST_TEST_DATA")
    if data is None:
        print("MILEPOST_TEST_DATA is not set, so nothing is said of real orders.", file=sys.stderr)
        return
    show("Real orders", trace(real_orders(Path(data) / "olist"), "BRL"), (DAY, "days"), (1, 2, 3, 5, 7, 10, 14))


def show(title: str, found: Trace, unit: tuple[int, str], before: tuple[int, ...]) -> None:
    """Everything about one replay, each half of it (by deadline) for itself."""
    size, name = unit
    started = time.process_time()
    outcome = replay(found, Forecast(), [size * number for number in before])
    took = time.process_time() - started
    cases = {(case.order_id, case.deadline): case.kept for case in found.cases}
    middle = sorted(case[1] for case in cases)[len(cases) // 2]
    halves: dict[str, Callable[[int], bool]] = {"first": middle.__gt__, "second": middle.__le__}
    print(f"\n### {title}\n\n{len(found.steps):,} events replayed in {took:.0f} s of processor time.")
    for half, holds in halves.items():
        part = {case: kept for case, kept in cases.items() if holds(case[1])}
        broken = sum(not kept for kept in part.values())
        print(f"\nThe {half} half: {len(part):,} promises due, {broken:,} broken.\n")
        print(f"| at risk when | warned | precision | recall | lead p50, {name} | lead p10, {name} |")
        print("| --- | --- | --- | --- | --- | --- |")
        for line in rules(outcome, part, size, name, before):
            print(line)
        print(f"\n| {name} before | still open | of these broken | AUC | chance < 50 %: precision | recall |")
        print("| --- | --- | --- | --- | --- | --- |")
        for number in before:
            print(marked([look for look in outcome.marked if look.left == size * number], part, number))
    print("\n| chance given | times | mean chance | kept |\n| --- | --- | --- | --- |")
    for line in calibration(outcome.told, {case: kept for case, kept in cases.items() if halves["second"](case[1])}):
        print(line)


def rules(outcome: Outcome, part: Cases, size: int, name: str, before: tuple[int, ...]) -> Iterator[str]:
    """Our rule beside fixed times before the deadline, with those of the same recall, precision and lead."""
    limit = Limits.risk_below
    ours = judge(outcome.warned, part)
    yield _line(f"**chance < {limit:.0%}**", ours, size)
    step = size if size == MINUTE else size // 2
    tried = {length: judge(naive(outcome, length), part) for length in range(step, 2 * before[-1] * size, step)}
    recalled = min((length for length, rule in tried.items() if rule.recall >= ours.recall), default=None)
    precise = max((length for length, rule in tried.items() if rule.precision >= ours.precision), default=None)
    led = min((length for length, rule in tried.items() if rule.lead_p50 >= ours.lead_p50), default=None)
    for number in before:
        yield _line(f"undelivered {number} {name} before", judge(naive(outcome, size * number), part), size)
    for length, same in ((recalled, "recall"), (precise, "precision"), (led, "median lead")):
        if length is not None:
            yield _line(f"the same {same}: {length / size:g} {name} before", tried[length], size)


def marked(looks: list[Look], part: Cases, number: int) -> str:
    """What the chances told so long before the deadline."""
    known = [(look.chance, part[look.case]) for look in looks if look.chance is not None and look.case in part]
    low = [kept for chance, kept in known if chance < Limits.risk_below]
    broken = sum(not kept for _, kept in known)
    hits = sum(not kept for kept in low)
    if not known or not low or not broken:
        return f"| {number} | {len(known):,} | – | – | – | – |"
    return (
        f"| {number} | {len(known):,} | {broken / len(known):.0%} | {area(known):.2f} "
        f"| {hits / len(low):.0%} | {hits / broken:.0%} |"
    )


def calibration(told: list[Look], part: Cases) -> Iterator[str]:
    """By tenths of the chance given: how often, and the share that was kept."""
    known = [(look.chance, part[look.case]) for look in told if look.chance is not None and look.case in part]
    for tenth in range(10):
        inside = [(chance, kept) for chance, kept in known if tenth == min(9, int(chance * 10))]
        if inside:
            mean, kept = (
                sum(chance for chance, _ in inside) / len(inside),
                sum(kept for _, kept in inside) / len(inside),
            )
            yield f"| {tenth * 10}–{tenth * 10 + 10} % | {len(inside):,} | {mean:.0%} | {kept:.0%} |"


def _line(name: str, rule: Rule, size: int) -> str:
    return (
        f"| {name} | {rule.warned:,} | {rule.precision:.0%} | {rule.recall:.0%} "
        f"| {rule.lead_p50 / size:.1f} | {rule.lead_p10 / size:.1f} |"
    )


if __name__ == "__main__":
    main()
