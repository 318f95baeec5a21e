"""API keys: made, hashed, found, revoked; the file replaced at once and read again when it changes."""

import json
from pathlib import Path

import pytest

from milepost.access.keys import (
    LOOPBACK,
    Credential,
    KeyFile,
    KeyFileError,
    Keyring,
    Right,
    new_key,
    read_keys,
    write_keys,
)


def test_a_key_opens_what_it_was_made_for(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key, stored = new_key("shop", [Right.WRITE], "/shop", "merchant-3")
    write_keys(path, KeyFile((stored,)))
    found = Keyring(path).find(key)
    assert found == Credential("shop", frozenset({Right.WRITE}), "/shop", "merchant-3")
    assert found.may(Right.WRITE)
    assert not found.may(Right.READ)


def test_admin_may_everything() -> None:
    assert all(Credential("a", frozenset({Right.ADMIN})).may(right) for right in Right)


def test_the_file_holds_no_key_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    key, stored = new_key("shop", [Right.WRITE], "/shop")
    write_keys(path, KeyFile((stored,)))
    assert key.split("_", 2)[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]
    assert read_keys(path).keys == (stored,)


@pytest.mark.parametrize(
    "change", [str.upper, lambda key: key[:-1], lambda key: key + "x", lambda _key: "", lambda _key: "mp_"]
)
def test_another_key_opens_nothing(tmp_path: Path, change: "type[str]") -> None:
    path = tmp_path / "keys.json"
    key, stored = new_key("shop", [Right.WRITE], "/shop")
    write_keys(path, KeyFile((stored,)))
    assert Keyring(path).find(change(key)) is None


def test_two_keys_are_never_the_same() -> None:
    assert len({new_key("a", [Right.READ], "/a")[0] for _ in range(100)}) == 100


def test_a_revoked_key_is_refused_by_a_running_service(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key, stored = new_key("shop", [Right.WRITE], "/shop")
    write_keys(path, KeyFile((stored,)))
    ring = Keyring(path)
    assert ring.find(key) is not None
    write_keys(path, KeyFile())
    assert ring.find(key) is None


def test_a_damaged_file_leaves_the_last_good_keys_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key, stored = new_key("shop", [Right.WRITE], "/shop")
    write_keys(path, KeyFile((stored,)))
    ring = Keyring(path)
    assert ring.find(key) is not None
    path.write_text("{")
    assert ring.find(key) is not None
    assert ring.fault is not None
    assert str(path) in ring.fault
    path.unlink()
    ring.refresh()
    assert ring.fault is not None
    write_keys(path, KeyFile((stored,)))
    assert ring.find(key) is not None
    assert ring.fault is None


@pytest.mark.parametrize("text", ["[]", '{"keys": [{"id": "a"}]}', '{"keyz": []}', "\xff"])
def test_a_file_that_is_none_of_ours_is_not_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(KeyFileError, match=r"keys\.json"):
        read_keys(path)


def test_a_missing_file_holds_no_keys_but_is_a_fault_of_a_service(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert read_keys(path).keys == ()
    ring = Keyring(path)
    assert ring.find("mp_a_b") is None
    assert ring.fault is not None


@pytest.mark.parametrize(
    ("prefix", "source", "allowed"),
    [
        ("/shop", "/shop", True),
        ("/shop", "/shop/7", True),
        ("/shop", "/shop2", False),
        ("/shop", "/", False),
        ("/shop", "/other/shop", False),
        ("/shop/", "/shop/7", True),
        ("/shop/", "/shop", False),
        ("/", "/anything", True),
        ("urn:acme:", "urn:acme:shop", True),
        ("urn:acme", "urn:acmecorp", False),
        ("https://acme.example", "https://acme.example/shop", True),
        ("https://acme.example", "https://acme.example.evil.example", False),
    ],
)
def test_a_source_prefix_ends_at_a_boundary(prefix: str, source: str, allowed: bool) -> None:
    assert Credential("k", frozenset({Right.WRITE}), prefix).may_write_as(source) is allowed


def test_a_caller_on_this_machine_may_name_any_source() -> None:
    assert LOOPBACK.may_write_as("anything")


def test_the_stored_form_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, stored = new_key("shop", [Right.READ, Right.WRITE, Right.WRITE], "/shop")
    write_keys(path, KeyFile((stored,)))
    (entry,) = json.loads(path.read_text())["keys"]
    assert entry["name"] == "shop"
    assert entry["rights"] == ["read", "write"]
    assert len(entry["hash"]) == 64
    assert "merchant" not in entry
