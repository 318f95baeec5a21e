"""`milepost grafana`: our dashboards in a Grafana that is there already."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from milepost.operations.grafana import Grafana, Stored

_Url = Annotated[str | None, typer.Option("--url", help="Grafana's address; MILEPOST_GRAFANA if not given.")]
_TokenFile = Annotated[
    Path | None,
    typer.Option(help="File with a service account's token; MILEPOST_GRAFANA_TOKEN if not given."),
]
_Uids = Annotated[list[str] | None, typer.Argument(metavar="[UID]...", help="Only these dashboards; all if left out.")]
_ClickHouse = Annotated[str, typer.Option(help="Uid of the ClickHouse datasource there.")]
_Prometheus = Annotated[str, typer.Option(help="Uid of the Prometheus datasource there.")]
_OURS = {"clickhouse": "milepost-clickhouse", "prometheus": "milepost-prometheus"}
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    group = typer.Typer(help="The dashboards in a Grafana of your own: push, diff, pull.", no_args_is_help=True)
    group.command("push")(push)
    group.command("diff")(diff)
    group.command("pull")(pull)
    app.add_typer(group, name="grafana")


def push(
    uids: _Uids = None,
    *,
    url: _Url = None,
    token_file: _TokenFile = None,
    folder: Annotated[
        str, typer.Option(help="Title of the folder they go into; made where there is none.")
    ] = "Milepost",
    clickhouse: _ClickHouse = _OURS["clickhouse"],
    prometheus: _Prometheus = _OURS["prometheus"],
    dry_run: _DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Also over what others have changed or made there.")] = False,
) -> None:
    """Save the dashboards there. What somebody has changed there is left alone and named (exit 1), without --force."""
    from milepost.operations.grafana import GrafanaError, State, state

    documents = _documents(uids, clickhouse, prometheus)
    left = []
    try:
        grafana = _grafana(url, token_file)
        for source in (clickhouse, prometheus):
            if grafana.lacks_source(source):
                typer.echo(
                    f"there is no datasource {source}: its panels will be empty (--clickhouse, --prometheus)", err=True
                )
        place = grafana.folder(folder, make=not dry_run)
        for uid, document in documents.items():
            found = grafana.stored(uid)
            stands = state(document, found)
            if found and found.provisioned:
                left.append(uid)
                typer.echo(f"{uid}: comes from a file there (provisioned), so it cannot be saved; left alone")
            elif stands in (State.CHANGED, State.FOREIGN) and not force:
                left.append(uid)
                typer.echo(f"{uid}: {stands}{_by(found)}; left alone (`milepost grafana diff {uid}`, --force)")
            elif stands is State.SAME and (found is None or found.folder_uid == place):
                typer.echo(f"{uid}: {stands}")
            else:
                if not dry_run and place is not None:
                    grafana.put(document, place, found, force=force)
                typer.echo(f"{uid}: {stands}; {'would be saved' if dry_run else 'saved'} in {folder}")
    except GrafanaError as error:
        raise _failed(error) from error
    if left:
        raise typer.Exit(1)


def diff(
    uids: _Uids = None,
    *,
    url: _Url = None,
    token_file: _TokenFile = None,
    clickhouse: _ClickHouse = _OURS["clickhouse"],
    prometheus: _Prometheus = _OURS["prometheus"],
) -> None:
    """Show what `push` would change there; exit 1 where there is anything."""
    from milepost.operations.grafana import GrafanaError, State, difference, state

    differs = False
    try:
        grafana = _grafana(url, token_file)
        for uid, document in _documents(uids, clickhouse, prometheus).items():
            found = grafana.stored(uid)
            stands = state(document, found)
            typer.echo(f"{uid}: {stands}{_by(found) if stands in (State.CHANGED, State.FOREIGN) else ''}")
            differs = differs or stands is not State.SAME
            if found is not None and stands is not State.SAME:
                for line in difference(document, found.document, uid):
                    typer.echo(line)
    except GrafanaError as error:
        raise _failed(error) from error
    if differs:
        raise typer.Exit(1)


def pull(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files go; made where it is not there.")],
    uids: _Uids = None,
    *,
    url: _Url = None,
    token_file: _TokenFile = None,
    dry_run: _DryRun = False,
) -> None:
    """Write the dashboards as they are there into files, to see and keep what was changed."""
    from milepost.docs.dashboards.catalogue import written
    from milepost.operations.grafana import GrafanaError, plain

    try:
        grafana = _grafana(url, token_file)
        for uid in _documents(uids, *_OURS.values()):
            found = grafana.stored(uid)
            if found is None:
                typer.echo(f"{uid}: is not there")
                continue
            path = target / f"{uid}.json"
            if not dry_run:
                target.mkdir(parents=True, exist_ok=True)
                path.write_text(written(plain(found.document)), encoding="utf-8")
            typer.echo(f"{uid}: version {found.version}{_by(found)} {'would go' if dry_run else 'went'} to {path}")
    except (GrafanaError, OSError) as error:
        raise _failed(error) from error


def _documents(uids: list[str] | None, clickhouse: str, prometheus: str) -> dict[str, dict[str, Any]]:
    from milepost.docs.dashboards.catalogue import documents
    from milepost.operations.grafana import with_sources

    found = documents()
    unknown = [uid for uid in uids or () if uid not in found]
    if unknown:
        raise typer.BadParameter(
            f"there is no dashboard {unknown[0]!r}; there are {', '.join(found)}", param_hint="UID"
        )
    theirs = dict(zip(_OURS.values(), (clickhouse, prometheus), strict=True))
    return {uid: with_sources(found[uid], theirs) for uid in uids or found}


def _grafana(url: str | None, token_file: Path | None) -> "Grafana":
    from milepost.operations.grafana import Grafana, GrafanaError
    from milepost.settings import load

    settings = load()
    address = url or settings.grafana
    if not address:
        raise typer.BadParameter("say where Grafana is: --url or MILEPOST_GRAFANA", param_hint="--url")
    token = settings.grafana_token.get_secret_value()
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise GrafanaError(f"the token cannot be read from {token_file}: {error}") from error
    if not token:
        raise typer.BadParameter(
            "no token: --token-file FILE or MILEPOST_GRAFANA_TOKEN (it is never an argument)", param_hint="--token-file"
        )
    grafana = Grafana(address, token)
    typer.echo(f"Grafana {grafana.check()} at {address}", err=True)
    return grafana


def _by(found: "Stored | None") -> str:
    return f" by {found.changed_by}" if found and found.changed_by else ""


def _failed(error: Exception) -> typer.Exit:
    typer.echo(f"milepost grafana: {error}", err=True)
    return typer.Exit(1)
