"""Prometheus's text format, written directly: tens of thousands of series a refresh are too many for a registry."""

from milepost.metrics import Metric

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


class Family:
    """The samples of one gauge."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._lines: list[str] = []

    def add(self, labels: tuple[str, ...], value: float) -> None:
        """A sample; ``labels`` are values in the order of the metric's names. An empty one is as good as none."""
        named = ",".join(
            f'{name}="{value.translate(_ESCAPES)}"'
            for name, value in zip(self._metric.labels, labels, strict=True)
            if value
        )
        self._lines.append(f"{self._metric.name}{{{named}}} {float(value)!r}\n")

    def rendered(self) -> bytes:
        """The family with its help and type."""
        head = f"# HELP {self._metric.name} {self._metric.text}\n# TYPE {self._metric.name} gauge\n"
        return (head + "".join(self._lines)).encode()
