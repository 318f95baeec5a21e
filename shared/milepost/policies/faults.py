"""What is wrong in a file of policies, and where: all of it at once."""

from dataclasses import dataclass

Path = tuple[str | int, ...]
"""The keys and indices that lead to a value, from the top of the document."""


@dataclass(frozen=True, order=True)
class Fault:
    """A place in the file (line and column from 1), the same as an RFC 6901 pointer, and what is wrong there."""

    line: int
    column: int
    pointer: str
    reason: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.pointer or '/'}: {self.reason}"


class PolicyError(ValueError):
    """The file cannot be taken as policies: ``faults`` has every reason, by line."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def pointer(path: Path) -> str:
    """The path as an RFC 6901 JSON pointer; empty for the document itself."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
