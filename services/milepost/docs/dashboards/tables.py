"""Tables: columns that say what they are, and what makes several queries one table."""

from collections.abc import Sequence
from dataclasses import dataclass

from milepost.docs.dashboards import colours
from milepost.docs.dashboards.goals import Goal
from milepost.docs.dashboards.parts import TEXT, Json, override, plain_panel


@dataclass(frozen=True)
class Column:
    """A table's column: the name the query gives it, what people read, its unit; ``gauge`` draws a bar up to ``most``.

    ``shaded`` colours the cell by its size against the column's others.
    """

    name: str
    title: str
    unit: str
    text: str = ""
    decimals: int | None = None
    goal: Goal | None = None
    gauge: bool = False
    most: float = 1.0
    shaded: bool = False
    link: Json | None = None
    width: int | None = None
    hidden: bool = False

    @property
    def as_override(self) -> Json:
        """How Grafana is told."""
        said: Json = {"displayName": self.title, "unit": self.unit}
        if self.text:
            said["description"] = self.text
        if self.decimals is not None:
            said["decimals"] = self.decimals
        if self.width is not None:
            said["custom.width"] = self.width
        if self.hidden:
            said["custom.hideFrom"] = {"viz": True}
        if self.goal is not None:
            said["thresholds"] = colours.steps(self.goal.limit, higher_is_better=self.goal.higher_is_better)
            said["color"] = {"mode": "thresholds"}
            said["custom.cellOptions"] = {"type": "color-text"}
        if self.gauge:
            said |= {"min": 0, "max": self.most}
            said["custom.cellOptions"] = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
            if self.goal is None:
                said["color"] = colours.fixed(colours.BLUE)
        if self.shaded:
            said["color"] = {"mode": "continuous-blues"}
            said["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        if self.link is not None:
            said["links"] = [self.link]
        return override(self.name, said)


def table(title: str, text: str, targets: Sequence[Json], columns: Sequence[Column]) -> Json:
    """Rows as the query orders them."""
    defaults: Json = {
        "unit": TEXT,
        "color": colours.fixed("text"),
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True},
    }
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": [], "countRows": False}}
    panel = plain_panel("table", title, text, targets, defaults, options)
    panel["fieldConfig"]["overrides"] = [column.as_override for column in columns]
    return panel


def without(*fields: str) -> Json:
    """The transformation that leaves fields out."""
    hidden = dict.fromkeys(fields, True)
    return {"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": {}}}


def merged(panel: Json, ordered_by: str, *, descending: bool) -> Json:
    """A table of several instant queries of Prometheus as one, a row for each combination of labels."""
    sort = [{"field": ordered_by, "desc": descending}]
    changes = [
        {"id": "merge", "options": {}},
        without("Time"),
        {"id": "sortBy", "options": {"fields": {}, "sort": sort}},
    ]
    return panel | {"transformations": changes}
