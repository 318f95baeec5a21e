"""`milepost sla check`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from milepost.cli.sla.policy_file import File, found, read

if TYPE_CHECKING:
    from milepost.policies.holding import Holding


def register(group: typer.Typer) -> None:
    """Add the subcommand to ``group``."""
    group.command()(check)


def check(
    file: File = None,
    *,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="DIMENSION=VALUE,...",
            help="Show the limits of an order of this service_level, hub_id, zone_id, merchant_id.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say everything that is wrong in a file of policies, with file, line and column; exit 1 where something is."""
    path = found(file)
    place = _place(order) if order is not None else None
    _, policies = read(path, as_json=as_json)
    from milepost.policies.holding import holdings

    held = holdings(policies, place) if place is not None else []
    if as_json:
        limits = [vars(one) for one in held]
        answer = {"ok": True, "file": str(path), "faults": [], "unfireable": []}
        typer.echo(json.dumps(answer | ({"limits": limits} if place is not None else {}), indent=2))
    elif place is not None:
        _show(held)
    else:
        counts = {"policies": policies.policies, "objectives": policies.objectives, "bands": policies.bands}
        typer.echo(f"{path} is in order ({', '.join(f'{what}: {len(some)}' for what, some in counts.items())})")


def _place(text: str) -> dict[str, str]:
    import difflib

    from milepost.domain.sla.policy import MATCHED

    place: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise typer.BadParameter(f"{part!r} is not dimension=value", param_hint="--order")
        if name not in MATCHED:
            near = difflib.get_close_matches(name, MATCHED, 1, 0.6)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(MATCHED)}"
            raise typer.BadParameter(f"no policy can match {name!r}; {hint}", param_hint="--order")
        place[name] = value
    return place


def _show(held: "list[Holding]") -> None:
    for one in held:
        typer.echo(f"{one.limit:16} {one.value:12} {f'from {one.policy}' if one.policy else 'by default'}")
