"""SLAs as `milepost sla` shows them to people."""

from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from milepost.domain.sla.words import RULES, State
from milepost.reading.sla import words
from milepost.reading.sla.lives import Ack, SlaLife
from milepost.reading.sla.open import SlaItem, SlaPage
from milepost.reading.sla.orders import OrderSlas
from milepost.reading.sla.summary import HubSlas

NOTHING = "–"
_WIDE = 130
"""From this width on there is room for what is known of each."""
_STYLES = {State.BREACHED: "bold red", State.AT_RISK: "bold yellow", State.EASED: "green", State.RESOLVED: "cyan"}


def listing(page: SlaPage, width: int, fault: str | None = None) -> RenderableType:
    """The open SLAs of ``page`` under their hubs, as `ls` lists them on ``width`` characters.

    ``fault`` says why they are not of now.
    """
    parts: list[RenderableType] = [_heading(page)]
    if fault:
        parts.append(Text(f"not of now, the store is away: {fault}", "bold red"))
    if not page.summary:
        return Group(*parts, Text("nothing is at risk or breached"))
    explained = width >= _WIDE
    listed = {item.hub_id for item in page.items}
    for hub in page.summary:
        if hub.hub_id in listed:
            parts += [
                Text.assemble("\n", (hub.hub_id or "(no hub)", "bold"), "  ", _sums(hub)),
                _table(hub, page, explained),
            ]
    others = [hub for hub in page.summary if hub.hub_id not in listed]
    if not explained:
        parts.append(Text("\n`milepost sla show ORDER` says what is known of one", "dim"))
    if page.next:
        parts.append(Text("\n… and more, less bad (--limit, --hub)", "dim"))
    parts += [Text.assemble((hub.hub_id or "(no hub)", "bold"), "  ", _sums(hub)) for hub in others]
    return Group(*parts)


def explanation(found: OrderSlas) -> RenderableType:
    """An order's SLAs as `show` explains them."""
    heading = Text.assemble(("Order ", "bold"), (found.order_id, "bold"), "  ", (found.state or "unknown", "bold cyan"))
    dimensions = ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id")
    where = "  ".join(
        f"{name.removesuffix('_id')} {getattr(found, name)}" for name in dimensions if getattr(found, name)
    )
    parts: list[RenderableType] = [heading, Text(where, "dim")]
    if not found.slas:
        return Group(*parts, Text("\nNothing of it was ever at risk or broken."))
    for life in found.slas:
        parts += [Text(), *life_lines(life, found.as_of)]
    return Group(*parts)


def _table(hub: HubSlas, page: SlaPage, explained: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("order", "rule", "state", "due (UTC)", "over", "courier", "acknowledged"):
        table.add_column(name, no_wrap=True, justify="right" if name == "over" else "left")
    if explained:
        table.add_column("what is known", overflow="fold")
    for item in page.items:
        if item.hub_id == hub.hub_id:
            table.add_row(*_cells(item, page.as_of), *([Text(item.said)] if explained else []))
    return table


def life_lines(life: SlaLife, now: datetime) -> list[RenderableType]:
    """An SLA: what was promised, every state it reached with its reason, who took note, and how long it is over."""
    head = Text.assemble((f"{life.rule} ", "bold"), (words.name(life.state), _style(life.state)), f"  {life.promised}")
    # Text, not strings: what people wrote must not be read as markup.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), show_header=False)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    told: list[tuple[datetime, Text, str]] = [
        (
            step.at,
            Text(words.name(step.state), _style(step.state)),
            step.said + words.found_later(step.at, step.detected),
        )
        for step in life.steps
    ]
    told += [(ack.at, Text("acknowledged", "green"), _who(ack)) for ack in life.acknowledgements]
    for at, what, said in sorted(told, key=lambda one: one[0]):
        table.add_row(f"{at:%Y-%m-%d %H:%M:%S}", what, Text(said))
    lines: list[RenderableType] = [head, table]
    if life.open:
        lines.append(Text(f"  {words.standing(life.state, life.due, now)}", _style(life.state)))
    return lines


def _heading(page: SlaPage) -> Text:
    breached = sum(hub.broken for hub in page.summary)
    at_risk = sum(hub.at_risk for hub in page.summary)
    orders = sum(hub.orders for hub in page.summary)
    return Text.assemble(
        (f"{breached} breached", "bold red" if breached else "bold"),
        "  ",
        (f"{at_risk} at risk", "bold yellow" if at_risk else "bold"),
        f"  {_counted(orders, 'order')} in {_counted(len(page.summary), 'hub')}  "
        f"as of {page.as_of:%Y-%m-%d %H:%M:%S} UTC",
    )


def _sums(hub: HubSlas) -> Text:
    parts = [
        f"{hub.broken} breached ({', '.join(f'{rule} {hub.breached[rule]}' for rule in RULES if rule in hub.breached)})"
    ]
    said = [*(parts if hub.broken else []), *([f"{hub.at_risk} at risk"] if hub.at_risk else [])]
    said.append(_counted(hub.orders, "order"))
    if hub.worst_overdue_minutes is not None:
        said.append(f"worst {words.span(60 * hub.worst_overdue_minutes)} over")
    if hub.unacknowledged:
        said.append(f"{hub.unacknowledged} unacknowledged")
    return Text(", ".join(said))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cells(item: SlaItem, now: datetime) -> tuple[str | Text, ...]:
    over = words.span(60 * item.overdue_minutes)
    return (
        item.order_id,
        item.rule,
        Text(words.name(item.state), _style(item.state)),
        f"{item.due:%H:%M:%S}" if now - item.due < timedelta(hours=12) else f"{item.due:%Y-%m-%d %H:%M}",
        over if item.overdue_minutes >= 0 else Text(f"in {over}", "dim"),
        item.courier_id or NOTHING,
        Text(_who(item.acknowledged) if item.acknowledged else NOTHING),
    )


def _who(ack: Ack) -> str:
    return f"by {ack.by}" + (f": {ack.note}" if ack.note else "")


def _style(state: str) -> str:
    return _STYLES.get(State(state), "")
