"""Erasing personal data: the rows go from the tables, and what is read again later does not bring them back.

Numbers do not change: nothing they follow from is personal. Dead letters keep their place and reason, and lose the
bytes that speak of whom was erased. Acknowledgements of SLAs lose their notes.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from milepost.store import tables
from milepost.store.client import Store

NOTE = "personal data was erased"
_SUBJECT = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_SUBJECTS_A_QUERY = 200
_AT_ONCE = {"mutations_sync": 2, "allow_nondeterministic_mutations": 1}
"""Return when it is done; the rows are chosen by another table, which replicas have too."""

_ERASED = "(SELECT subject FROM erasures_store)"
_PERSONAL = f"subject IN {_ERASED}"
_NOTES = f"note != '' AND order_id IN {_ERASED}"
_LETTERS_OF_SUBJECTS = f"record_value != '' AND (subject IN {_ERASED} OR record_key IN {_ERASED})"
_LETTERS_THAT_NAME = "record_value != '' AND match(toValidUTF8(record_value), {pattern:String})"
_LETTERS_THAT_SAY = "record_value != '' AND multiSearchAny(record_value, {needles:Array(String)})"
_EDGE = "[^A-Za-z0-9_.:-]"
_EMPTIED = "record_value = '', detail = '', note = {note:String}, state = 'dropped'"


@dataclass(frozen=True)
class Erased:
    """What was taken away: rows of personal data, and dead letters whose bytes were."""

    personal: int = 0
    letters: int = 0

    def __add__(self, other: "Erased") -> "Erased":
        return Erased(self.personal + other.personal, self.letters + other.letters)


def subjects_of(store: Store, customer_ref: str) -> list[str]:
    """The orders that bear ``customer_ref``. Raises ``StoreError``."""
    sql = "SELECT DISTINCT subject FROM personal_store WHERE customer_ref = {ref:String} ORDER BY subject"
    return [row[0] for row in store.query(sql, {"ref": customer_ref})]


def is_subject(text: str) -> bool:
    """Whether an order can have this id."""
    return _SUBJECT.fullmatch(text) is not None


def erase(store: Store, subjects: Sequence[str], customer_ref: str = "") -> Erased:
    """Erase the personal data of ``subjects``, now and for good, and dead letters that hold ``customer_ref``.

    Safe to repeat. Raises ``ValueError`` where an id is none, and ``StoreError``.
    """
    for subject in subjects:
        if not is_subject(subject):
            raise ValueError(f"{subject!r} is no order's id")
    now = time.time_ns() // 1000
    # First: what is read again from now on stays hidden, whatever becomes of us.
    store.insert(tables.ERASURES, [(subject, now) for subject in subjects])
    found = _rows_of_erased(store) + _letters_that_name(store, subjects)
    if customer_ref:
        plain = json.dumps(customer_ref, ensure_ascii=False), json.dumps(customer_ref)
        found += _empty_letters(store, _LETTERS_THAT_SAY, {"needles": list(dict.fromkeys(plain))})
    return found


def reapply_erasures(store: Store) -> Erased:
    """Erase what has come since of those whose data was erased: read again from the topic, or sent again.

    Raises ``StoreError``.
    """
    subjects = [row[0] for row in store.query("SELECT DISTINCT subject FROM erasures_store ORDER BY subject")]
    if not subjects:
        return Erased()
    return _rows_of_erased(store) + _letters_that_name(store, subjects)


def _rows_of_erased(store: Store) -> Erased:
    (rows,) = store.query(f"SELECT count() FROM personal_store WHERE {_PERSONAL}")[0]
    if rows:
        # Not the lightweight kind, which leaves the rows in the files until the next merge.
        store.command(f"ALTER TABLE personal_store DELETE WHERE {_PERSONAL}", settings=_AT_ONCE)
    (notes,) = store.query(f"SELECT count() FROM sla_acks_store WHERE {_NOTES}")[0]
    if notes:
        # Meant for what is done about an order; but people write what they like.
        store.command(f"ALTER TABLE sla_acks_store UPDATE note = '' WHERE {_NOTES}", settings=_AT_ONCE)
    return Erased(personal=int(rows)) + _empty_letters(store, _LETTERS_OF_SUBJECTS, {})


def _letters_that_name(store: Store, subjects: Sequence[str]) -> Erased:
    found = Erased()
    for some in _portions([subject for subject in subjects if not subject.isdigit()]):
        # Another id may begin with it, and a sentence may end with it.
        pattern = f"(^|{_EDGE})({_any_of(some)})[_.:-]*({_EDGE}|$)"
        found += _empty_letters(store, _LETTERS_THAT_NAME, {"pattern": pattern})
    for some in _portions([subject for subject in subjects if subject.isdigit()]):
        # A bare number is a quantity; as an id it stands in quotes.
        found += _empty_letters(store, _LETTERS_THAT_NAME, {"pattern": f'"({_any_of(some)})"'})
    return found


def _any_of(subjects: Iterable[str]) -> str:
    """A pattern for any of these ids, of whose characters only the point means something in one."""
    return "|".join(subject.replace(".", "[.]") for subject in subjects)


def _empty_letters(store: Store, condition: str, parameters: dict[str, Any]) -> Erased:
    (letters,) = store.query(f"SELECT count() FROM dead_letters_store WHERE {condition}", parameters)[0]
    if letters:
        command = f"ALTER TABLE dead_letters_store UPDATE {_EMPTIED} WHERE {condition}"
        store.command(command, {**parameters, "note": NOTE}, settings=_AT_ONCE)
    return Erased(letters=int(letters))


def _portions(subjects: Sequence[str]) -> Iterator[Iterable[str]]:
    for start in range(0, len(subjects), _SUBJECTS_A_QUERY):
        yield subjects[start : start + _SUBJECTS_A_QUERY]
