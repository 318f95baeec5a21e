"""`milepost dead-letters`: what could not be processed, why, and another try."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from milepost.bus.replays import Place
    from milepost.reading.dead_letters import Choice, Letter
    from milepost.settings import Settings
    from milepost.store.client import Store

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_Place = Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="Where it came from, as `ls` says.")]
_OnePlace = Annotated[
    str | None, typer.Argument(metavar="[TOPIC/PARTITION/OFFSET]", help="One letter, as `ls` names it.")
]
_Reason = Annotated[str | None, typer.Option(help="Every open letter with this reason.")]
_All = Annotated[bool, typer.Option("--all", help="Every open letter.")]

SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    letters = typer.Typer(
        help="What could not be processed: ls, show, replay, drop; and resume for partitions that wait.",
        no_args_is_help=True,
    )
    for command in (ls, show, replay, drop, resume):
        letters.command(command.__name__)(command)
    app.add_typer(letters, name="dead-letters")


def ls(
    *,
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only what came from this partition.")] = None,
    state: Annotated[str | None, typer.Option(help="open, replayed or dropped; all if left out.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only this subject (mostly an order).")] = None,
    since: Annotated[str | None, typer.Option(help="Last seen since: 90m, 24h, 7d, or a moment with offset.")] = None,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="Most letters listed, those seen last.")] = SHOWN,
    as_json: _Json = False,
) -> None:
    """Count dead letters by reason and state, and list those seen last; say which partitions wait."""
    from milepost.cli import dead_letters_view as view
    from milepost.reading.dead_letters import Choice, counts, latest
    from milepost.store.client import reader
    from milepost.store.pauses import read_pauses

    if state not in (None, "open", "replayed", "dropped"):
        raise typer.BadParameter("must be open, replayed or dropped", param_hint="--state")
    choice = Choice(reason, partition, state, subject, _moment(since))
    with _store(reader) as store:
        found = counts(store, choice)
        letters = latest(store, choice, limit)
        paused = [pause for pause in read_pauses(store).values() if pause.waits]
    typer.echo(view.listing_json(found, letters, paused) if as_json else view.listing(found, letters, paused))


def show(place: _Place, as_json: _Json = False) -> None:
    """Show everything that is known of one dead letter, its bytes as they came."""
    from milepost.cli import dead_letters_view as view
    from milepost.store.client import reader

    with _store(reader) as store:
        letter = _letter(store, _place(place))
    typer.echo(view.letter_json(letter) if as_json else view.letter(letter))


def replay(
    place: _OnePlace = None,
    *,
    reason: _Reason = None,
    everything: _All = False,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Put dead letters back on their topic, as they came. What fails again is open again.

    Exit 1 where the broker refused one.
    """
    from milepost.bus.replays import Copy, Replay, Replayer, ReplayError
    from milepost.cli import dead_letters_view as view
    from milepost.reading.dead_letters import mark_replayed
    from milepost.settings import load
    from milepost.store.client import writer

    faults: list[tuple[Letter, str]] = []
    replayed = 0
    with _store(writer) as store:
        chosen = _chosen(store, place, reason, everything)
        _confirm(store, chosen, "replay", yes)
        try:
            with Replayer(load()) as replayer:
                for page in _pages(store, chosen):
                    copies = [
                        Copy(
                            Replay(letter.place, letter.attempts + 1),
                            letter.subject.encode() or letter.record_key,
                            letter.record_value,
                        )
                        for letter in page
                    ]
                    said = list(zip(page, replayer.send(copies), strict=True))
                    # Only now: a letter that is on its way nowhere must stay open.
                    taken = [letter for letter, fault in said if not fault]
                    mark_replayed(store, taken)
                    replayed += len(taken)
                    faults += [(letter, fault) for letter, fault in said if fault]
        except ReplayError as error:
            _fail(str(error))
    typer.echo(view.replayed_json(replayed, faults) if as_json else view.replayed(replayed, faults))
    if faults:
        raise typer.Exit(1)


def drop(
    place: _OnePlace = None,
    *,
    note: Annotated[str, typer.Option(help="Why nothing more is to be done; it is kept.", show_default=False)],
    reason: _Reason = None,
    everything: _All = False,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Close dead letters for good, with a note that says why."""
    import json

    from milepost.reading.dead_letters import mark_dropped
    from milepost.store.client import writer

    if not note.strip():
        raise typer.BadParameter("say why", param_hint="--note")
    dropped = 0
    with _store(writer) as store:
        chosen = _chosen(store, place, reason, everything)
        _confirm(store, chosen, "drop", yes)
        for page in _pages(store, chosen):
            mark_dropped(store, page, note.strip())
            dropped += len(page)
    typer.echo(json.dumps({"dropped": dropped}) if as_json else f"dropped {dropped}")


def resume(
    *,
    partition: Annotated[
        list[int] | None, typer.Option(min=0, help="This partition; repeat for several. All that wait if left out.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    as_json: _Json = False,
) -> None:
    """Let partitions go on that wait because too much of them failed; the worker does within a few seconds."""
    import json

    from milepost.store.client import writer
    from milepost.store.pauses import resume as answer

    if partition and everything:
        raise typer.BadParameter("either --partition or --all", param_hint="--all")
    with _store(writer) as store:
        resumed = answer(store, partition or ())
    if as_json:
        typer.echo(json.dumps({"resumed": [pause.partition for pause in resumed]}))
        return
    for pause in resumed:
        typer.echo(
            f"partition {pause.partition} goes on before offset {pause.offset}; it waited because: {pause.reason}"
        )
    if not resumed:
        typer.echo("nothing waits" if not partition else "none of these waits")


def _moment(since: str | None) -> datetime | None:
    from milepost.reading.question import QuestionError, parse_moment, parse_window

    if since is None:
        return None
    try:
        if since[-1:].isalpha() and since[:-1].isdigit():
            return datetime.now(UTC) - parse_window(since)
        return parse_moment(since, "since")
    except QuestionError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


def _place(text: str) -> "Place":
    from milepost.bus.replays import Place

    topic, _, numbers = text.partition("/")
    partition, _, offset = numbers.partition("/")
    try:
        place = Place(topic, int(partition), int(offset))
    except ValueError as error:
        raise typer.BadParameter("must be TOPIC/PARTITION/OFFSET", param_hint="place") from error
    if not (topic and 0 <= place.partition < 1 << 16 and 0 <= place.offset < 1 << 63):
        raise typer.BadParameter("must be TOPIC/PARTITION/OFFSET", param_hint="place")
    return place


def _chosen(store: "Store", place: str | None, reason: str | None, everything: bool) -> "Letter | Choice":
    """The one letter, or the choice of open ones, that the arguments name."""
    from milepost.reading.dead_letters import Choice

    if sum((place is not None, reason is not None, everything)) != 1:
        raise typer.BadParameter("name one letter, or --reason, or --all", param_hint="place")
    if place is None:
        return Choice(reason=reason, state="open")
    return _letter(store, _place(place))


def _letter(store: "Store", place: "Place") -> "Letter":
    from milepost.reading.dead_letters import letters_at

    found = letters_at(store, [place])
    if not found:
        _fail(f"no dead letter came from {'/'.join(map(str, place))}")
    return found[0]


def _pages(store: "Store", chosen: "Letter | Choice") -> "Iterator[list[Letter]]":
    from milepost.reading.dead_letters import Choice, pages

    if isinstance(chosen, Choice):
        yield from pages(store, chosen)
    else:
        yield [chosen]


def _confirm(store: "Store", chosen: "Letter | Choice", what: str, yes: bool) -> None:
    from milepost.reading.dead_letters import Choice, counts

    if yes:
        return
    if isinstance(chosen, Choice):
        meant = f"{sum(count.letters for count in counts(store, chosen))} open dead letters"
    else:
        meant = f"the dead letter from {'/'.join(map(str, chosen.place))} ({chosen.reason}, {chosen.state})"
    typer.confirm(f"{what} {meant}?", abort=True, err=True)


@contextmanager
def _store(connect: "Callable[[Settings], Store]") -> Iterator["Store"]:
    from milepost.settings import load
    from milepost.store.errors import StoreError

    try:
        with connect(load()) as store:
            yield store
    except StoreError as error:
        typer.echo(f"milepost dead-letters: {error}", err=True)
        typer.echo("Is the platform up (`milepost up`)? MILEPOST_PORT_BASE or MILEPOST_CLICKHOUSE say where.", err=True)
        raise typer.Exit(1) from error


def _fail(why: str) -> NoReturn:
    typer.echo(f"milepost dead-letters: {why}", err=True)
    raise typer.Exit(1)
