"""What Grafana makes of a panel's query before it is sent: macros of the ClickHouse plugin, and variables.

The plugin's own code is Go and TypeScript inside Grafana; this says the same of what the dashboards use, and refuses
the rest. See `pkg/macros` and `applyConditionalAll` in the plugin's repository.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
ALL = "$__all"

Document = dict[str, Any]
Chosen = str | Sequence[str]


def documents() -> dict[str, Document]:
    """Every dashboard file, by its uid."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {document["uid"]: document for document in found}


@dataclass(frozen=True)
class View:
    """What somebody looks at: the time range, the present, and what is chosen of each variable.

    ``options`` are all the values of the variables that can be set to all.
    """

    start: datetime
    end: datetime
    now: datetime
    chosen: Mapping[str, Chosen]
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    interval_seconds: int = 3600

    def sql(self, asked: str) -> str:
        """The SQL as ClickHouse gets it. ``now()`` stands still at ``now``, so that answers can be compared."""
        found = self._variables(self._conditional(asked))
        found = found.replace("$__fromTime", f"toDateTime({_seconds(self.start)})")
        found = found.replace("$__toTime", f"toDateTime({_seconds(self.end)})")
        bounds = rf"\1 >= toDateTime({_seconds(self.start)}) AND \1 <= toDateTime({_seconds(self.end)})"
        found = re.sub(r"\$__timeFilter\(([\w.]+)\)", bounds, found)
        cut = rf"toStartOfInterval(toDateTime(\1), INTERVAL {self.interval_seconds} second)"
        found = re.sub(r"\$__timeInterval\(([\w.]+)\)", cut, found)
        found = re.sub(r"\bnow\('UTC'\)", f"toDateTime({_seconds(self.now)}, 'UTC')", found)
        found = found.replace("now()", f"toDateTime({_seconds(self.now)})")
        assert "$" not in found, found
        return found

    def promql(self, asked: str) -> str:
        """The PromQL as Prometheus gets it."""
        found = re.sub(r"\$\{(\w+)\}", lambda match: self._pattern(match[1]), asked.replace("$__rate_interval", "1m"))
        assert "$" not in found, found
        return found

    def _conditional(self, asked: str) -> str:
        """``$__conditionalAll(condition, $variable)``: the condition, or `1=1` where all is chosen."""
        opening = "$__conditionalAll("
        while (at := asked.rfind(opening)) >= 0:
            depth, end = 1, at + len(opening)
            while depth:
                depth += {"(": 1, ")": -1}.get(asked[end], 0)
                end += 1
            condition, _, name = asked[at + len(opening) : end - 1].rpartition(",")
            everything = self.chosen[name.strip().removeprefix("$")] in (ALL, "")
            asked = asked[:at] + ("1=1" if everything else condition) + asked[end:]
        return asked

    def _pattern(self, name: str) -> str:
        """A variable as Prometheus's datasource puts it between double quotes: a pattern, escaped for both."""
        chosen = self.chosen[name]
        if isinstance(chosen, str) and chosen != ALL:
            return chosen
        values = self.options[name] if chosen == ALL else chosen
        escaped = [re.sub(r"([$^*{}\[\]'+?.()|])", r"\\\\\1", value) for value in values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    def _variables(self, asked: str) -> str:
        return re.sub(r"\$\{(\w+)(?::(\w+))?\}", lambda match: self._variable(match[1], match[2]), asked)

    def _variable(self, name: str, form: str | None) -> str:
        chosen = self.chosen[name]
        values = self.options[name] if chosen == ALL else [chosen] if isinstance(chosen, str) else list(chosen)
        if form == "singlequote":
            return ",".join("'" + value.replace("'", "\\'") + "'" for value in values)
        assert form is None, form
        assert len(values) == 1, name
        return values[0]


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def queries(document: Document, key: str) -> list[tuple[Document, str]]:
    """Each panel with each of its queries: ``rawSql`` of ClickHouse, ``expr`` of Prometheus."""
    return [
        (panel, target[key]) for panel in document["panels"] for target in panel.get("targets", ()) if key in target
    ]


def variable_queries(document: Document) -> list[tuple[str, str]]:
    """Each variable that asks ClickHouse, with its query."""
    return [(one["name"], one["query"]) for one in document["templating"]["list"] if one["type"] == "query"]
