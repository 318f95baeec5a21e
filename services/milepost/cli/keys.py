"""`milepost keys`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from milepost.access.keys import KeyFile, Right

_File = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="The file of keys; MILEPOST_KEYS if not given.")
]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    keys = typer.Typer(help="API keys, kept as hashes in a file: add, ls, revoke.", no_args_is_help=True)
    keys.command("add")(add)
    keys.command("ls")(ls)
    keys.command("revoke")(revoke)
    app.add_typer(keys, name="keys")


def add(
    name: Annotated[str, typer.Argument(help="Whose key it is, for the list and the log.")],
    *,
    right: Annotated[list[str] | None, typer.Option(help="write, read or admin; repeat for several.")] = None,
    source_prefix: Annotated[
        str | None, typer.Option(help="The `source` its events must have or lie under; /NAME if not given.")
    ] = None,
    merchant: Annotated[str | None, typer.Option(help="The one merchant it stands for.")] = None,
    file: _File = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a key and print it, this once: the file keeps only its hash. Running services take it up at once."""
    from milepost.access.keys import KeyFile, KeyFileError, new_key, write_keys

    rights = _rights(right or ["write"])
    prefix = source_prefix or f"/{name}"
    _check_fields(name, prefix, merchant)
    path = _path(file)
    key, stored = new_key(name, rights, prefix, merchant)
    content = _read(path)
    if any(known.name == name for known in content.keys):
        _fail(f"there is a key named {name!r} already; revoke it first or choose another name")
    try:
        write_keys(path, KeyFile((*content.keys, stored)))
    except KeyFileError as error:
        _fail(str(error))
    if as_json:
        typer.echo(json.dumps({"id": stored.id, "name": name, "key": key}))
        return
    typer.echo(key)
    typer.echo(f"keep it now, it is not shown again (key {stored.id} of {name} in {path})", err=True)


def ls(*, file: _File = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the keys: everything but the keys themselves."""
    stored = _read(_path(file)).keys
    if as_json:
        rows = [
            {
                "id": key.id,
                "name": key.name,
                "rights": [right.value for right in key.rights],
                "source_prefix": key.source_prefix,
                "merchant": key.merchant,
                "created": key.created.isoformat(),
            }
            for key in stored
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    if not stored:
        typer.echo("no keys; make one with `milepost keys add NAME`")
    for key in stored:
        rights = ",".join(right.value for right in key.rights)
        merchant = f"  merchant {key.merchant}" if key.merchant else ""
        typer.echo(f"{key.id}  {key.name:24} {rights:18} {key.source_prefix}{merchant}  since {key.created:%Y-%m-%d}")


def revoke(
    key: Annotated[str, typer.Argument(metavar="NAME|ID", help="The key's name or id.")], *, file: _File = None
) -> None:
    """Take a key back: running services refuse it from now on."""
    from milepost.access.keys import KeyFile, KeyFileError, write_keys

    path = _path(file)
    content = _read(path)
    left = tuple(known for known in content.keys if key not in (known.name, known.id))
    if len(left) == len(content.keys):
        _fail(f"no key {key!r} in {path}")
    try:
        write_keys(path, KeyFile(left))
    except KeyFileError as error:
        _fail(str(error))
    typer.echo(f"revoked {key}")


def _path(file: Path | None) -> Path:
    from milepost.settings import load

    path = file or load().keys
    if path is None:
        raise typer.BadParameter("name the file of keys, or set MILEPOST_KEYS", param_hint="--file")
    return path


def _read(path: Path) -> "KeyFile":
    from milepost.access.keys import KeyFileError, read_keys

    try:
        return read_keys(path)
    except KeyFileError as error:
        _fail(str(error))


def _rights(names: list[str]) -> "list[Right]":
    from milepost.access.keys import Right

    try:
        return [Right(part) for name in names for part in name.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{error}; it is write, read or admin", param_hint="--right") from None


def _check_fields(name: str, prefix: str, merchant: str | None) -> None:
    import msgspec

    from milepost.contracts.fields import Identifier, Source

    for value, kind, hint in ((name, Identifier, "NAME"), (prefix, Source, "--source-prefix")):
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise typer.BadParameter(str(error), param_hint=hint) from None
    if merchant is not None:
        try:
            msgspec.convert(merchant, Identifier)
        except msgspec.ValidationError as error:
            raise typer.BadParameter(str(error), param_hint="--merchant") from None


def _fail(text: str) -> NoReturn:
    typer.echo(f"milepost keys: {text}", err=True)
    raise typer.Exit(1)
