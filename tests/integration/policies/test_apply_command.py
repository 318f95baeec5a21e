"""`milepost sla apply` and `history` on a real broker and the real engine."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from milepost.bus import policy_topic
from milepost.operations import policies as operation
from milepost.policies.record import digest_of
from milepost.settings import Settings
from milepost.store.client import Store
from milepost.store.policies import history

pytestmark = pytest.mark.needs_platform

Command = Callable[..., subprocess.CompletedProcess[str]]
Inside = Callable[..., Result]


def test_a_file_is_applied_audited_and_told_what_it_changes(
    none_in_force: Settings, store: Store, sla: Inside, file: Path
) -> None:
    settings = none_in_force
    looked = sla(settings, "apply", str(file), "--dry-run").stdout
    assert "+ policy default silence: 45m" in looked
    assert "dry run, nothing was changed" in looked
    assert policy_topic.read(settings) is None
    assert history(store) == []

    first = json.loads(sla(settings, "apply", str(file), "--comment", "to begin", "--json").stdout)
    assert first["deed"] == "applied"
    again = sla(settings, "apply", str(file), "--comment", "once more").stdout
    assert again == f"version {first['version']} is this very file: nothing to do\n"

    file.write_text(file.read_text().replace("15m", "20m"))
    second = sla(settings, "apply", str(file), "--comment", "more time", "--by", "ann@desk").stdout
    assert second == f"~ policy default stages.prepare: 15m → 20m\nversion {first['version'] + 1} holds\n"
    told = policy_topic.read(settings)
    assert told is not None
    assert (told.document, told.digest) == (file.read_text(), digest_of(file.read_text()))

    rows = json.loads(sla(settings, "history", "--json").stdout)
    assert [(row["version"], row["comment"]) for row in rows] == [
        (first["version"], "to begin"),
        (first["version"] + 1, "more time"),
    ]
    assert re.fullmatch(r"\S+@\S+", rows[0]["applied_by"])
    assert rows[1]["applied_by"] == "ann@desk"
    assert sla(settings, "history", str(told.version)).stdout.endswith("\n\n" + file.read_text())
    missing = sla(settings, "history", "4000000")
    assert (missing.exit_code, missing.stderr) == (1, "milepost sla: version 4000000 was never applied\n")


def test_the_old_file_again_is_a_version_of_its_own(none_in_force: Settings, store: Store, file: Path) -> None:
    old, new = file.read_text(), file.read_text().replace("15m", "20m")
    numbers = [
        operation.apply_policies(none_in_force, store, text, "me", "why").now.version for text in (old, new, old)
    ]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


def test_what_was_cut_off_after_the_audit_is_finished_under_its_version(
    none_in_force: Settings, store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(policy_topic, "publish", _broken)
        with pytest.raises(policy_topic.PolicyTopicError):
            operation.apply_policies(none_in_force, store, file.read_text(), "me", "cut off")
    audited = history(store)[-1].applied
    assert policy_topic.read(none_in_force) is None
    done = operation.apply_policies(none_in_force, store, file.read_text(), "me", "again")
    assert (done.deed, done.now) == ("resumed", audited)
    assert policy_topic.read(none_in_force) == audited
    assert history(store)[-1].comment == "cut off"


def _broken(*_: object) -> None:
    raise policy_topic.PolicyTopicError("the broker went away")


def test_what_holds_and_is_missing_in_the_audit_is_added_to_it(
    none_in_force: Settings, store: Store, file: Path
) -> None:
    """A database restored from before, or made anew, beside a broker that knows more."""
    done = operation.apply_policies(none_in_force, store, file.read_text(), "me", "why")
    store.command(
        "ALTER TABLE sla_policies_store DELETE WHERE version = {version:UInt32}",
        {"version": done.now.version},
        {"mutations_sync": 2},
    )
    again = operation.apply_policies(none_in_force, store, file.read_text(), "you", "found missing")
    assert (again.deed, again.now) == ("audited", done.now)
    assert (history(store)[-1].applied, history(store)[-1].comment) == (done.now, "found missing")
    newer = operation.apply_policies(none_in_force, store, file.read_text() + "# more\n", "me", "why")
    assert newer.now.version == done.now.version + 1


def test_without_a_broker_nothing_is_audited_and_the_command_says_where_it_looked(
    none_in_force: Settings, store: Store, milepost: Command, file: Path
) -> None:
    before = history(store)
    nowhere = none_in_force.model_copy(update={"kafka": "127.0.0.1:9"})
    done = milepost(nowhere, "sla", "apply", str(file), "--comment", "try", check=False)
    assert done.returncode == 1
    assert "no broker answers at 127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert history(store) == before


def test_a_fault_is_told_with_its_place_and_nothing_is_applied(
    none_in_force: Settings, sla: Inside, file: Path
) -> None:
    file.write_text(file.read_text().replace("15m", "15 minutes"))
    done = sla(none_in_force, "apply", str(file), "--comment", "try")
    assert done.exit_code == 1
    assert done.stdout.startswith(f"{file}:5:23: 15 minutes is no time limit")
    assert policy_topic.read(none_in_force) is None
    assert sla(none_in_force, "apply", str(file)).exit_code == 2


def test_the_default_comes_into_force_only_where_there_is_none(
    none_in_force: Settings, milepost: Command, sla: Inside, file: Path
) -> None:
    first = json.loads(milepost(none_in_force, "sla", "apply", "--if-none", "--json").stdout)
    assert first["deed"] == "applied"
    told = policy_topic.read(none_in_force)
    assert told is not None
    assert "name: express" in told.document
    assert sla(none_in_force, "apply", str(file), "--if-none").stdout == f"version {told.version} holds\n"
    assert policy_topic.read(none_in_force) == told
