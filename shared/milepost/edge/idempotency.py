"""`Idempotency-Key`: a retry of a REST form is the same event."""

import hashlib
from collections import OrderedDict
from typing import NamedTuple

from milepost.contracts.event import Fault
from milepost.edge.problems import ProblemError

MAX_REMEMBERED = 100_000
"""Keys whose first request is remembered by a process."""


class First(NamedTuple):
    """What the first request with a key said: a digest of it, and the time its event was given."""

    request: bytes
    time: str


def event_id(credential: str, method: str, path: str, key: str) -> str:
    """The id of the event of a request with an ``Idempotency-Key``; the same for every retry, on every machine."""
    text = "\0".join((credential, method, path, key))
    return "idem-" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def checked(key: str) -> str:
    """``key`` if it is one: 1 to 255 visible ASCII characters. Raises ``ProblemError`` 422."""
    if not 1 <= len(key) <= 255 or not all("!" <= character <= "~" for character in key):
        detail = "must be 1 to 255 visible ASCII characters"
        raise ProblemError(422, f"the Idempotency-Key {detail}", faults=[Fault("/headers/idempotency-key", detail)])
    return key


class RecentRequests:
    """The first requests with their keys, the newest ``limit`` of them.

    An event without a ``time`` of its own happened when it was first received, and a retry must say the same;
    this is how a retry finds it. A retry that comes after the memory is gone carries a later time: then the
    first event counts all the same, and the retry is counted as a conflicting copy.
    """

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._firsts: OrderedDict[str, First] = OrderedDict()

    def first(self, identity: str, request: bytes, time: str) -> First:
        """The first request under ``identity``: the remembered one, else this one, not remembered yet.

        Raises ``ProblemError`` 422 where the remembered one was another request.
        """
        digest = hashlib.blake2b(request, digest_size=16).digest()
        found = self._firsts.get(identity)
        if found is None:
            return First(digest, time)
        if found.request != digest:
            detail = "was used for another request; a new request needs a new key"
            raise ProblemError(422, f"the Idempotency-Key {detail}", faults=[Fault("/headers/idempotency-key", detail)])
        return found

    def remember(self, identity: str, first: First) -> None:
        """Remember ``first``; to be called once it is known to be valid, before it is published."""
        self._firsts.setdefault(identity, first)
        while len(self._firsts) > self._limit:
            self._firsts.popitem(last=False)
