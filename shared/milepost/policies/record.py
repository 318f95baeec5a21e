"""Policies as they were put in force: what the topic carries and the audit keeps."""

import hashlib
from datetime import datetime

import msgspec

from milepost.domain.sla.policy import Policies
from milepost.policies.load import load_policies


class AppliedPolicies(msgspec.Struct, frozen=True):
    """One application: the file's text as ``document``, its SHA-256 in hexadecimal, by whom (user@host) and when."""

    version: int
    applied_at: datetime
    applied_by: str
    digest: str
    document: str

    def policies(self) -> Policies:
        """The policies themselves.

        Raises:
            PolicyError: this version of Milepost does not read them.
            ValueError: the document is not the one the digest is of.
        """
        if digest_of(self.document) != self.digest:
            raise ValueError("the document is not what its digest says")
        return load_policies(self.document, self.version)


def digest_of(document: str) -> str:
    """The SHA-256 of a file's text, in hexadecimal, as ``sha256sum`` gives it."""
    return hashlib.sha256(document.encode()).hexdigest()
