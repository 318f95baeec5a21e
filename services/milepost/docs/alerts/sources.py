"""`deploy/prometheus/rules/sources.yml`: senders that have fallen silent."""

from collections.abc import Iterator

from milepost.docs.alerts.rule import Alert, Record, group_file

MINUTES = (15, 60)
"""Windows: a busy sender is missed within a quarter of an hour, a slow one within an hour."""
MINIMUM = 20
"""Events it sent a week ago, over the window and over the one before, so that silence means something."""
SHARE = 0.05
"""Less than this share of what came a week ago is silence."""

_WEEK = 7 * 24 * 60
HEAD = """
Each sender at each hub beside itself a week ago at this time of day.
"""


def render() -> str:
    """The whole file. Once a minute is often enough, and a week back is not cheap."""
    return group_file(HEAD, "milepost-sources", _rules(), "1m")


def came(minutes: int, ago: int = 0) -> str:
    """How many events came within so many minutes until ``ago`` minutes before now, by sender and hub.

    A series that is new within the window (a worker that has just begun) counts whole: its first value is no increase.
    """
    metric = "milepost_source_events_total"
    return (
        f"sum by (source, hub_id) (({metric}{_offset(ago)} unless {metric}{_offset(ago + minutes)})"
        f" or increase({metric}[{_duration(minutes)}]{_offset(ago)}))"
    )


def _offset(minutes: int) -> str:
    return f" offset {_duration(minutes)}" if minutes else ""


def _duration(minutes: int) -> str:
    """As Prometheus writes it: 1w15m."""
    weeks, rest = divmod(minutes, _WEEK)
    hours, rest = divmod(rest, 60)
    return "".join(f"{number}{unit}" for number, unit in ((weeks, "w"), (hours, "h"), (rest, "m")) if number)


def _rules() -> Iterator[Alert | Record]:
    for minutes in MINUTES:
        window = _duration(minutes)
        yield Record(
            "milepost:source_missed",
            f"""
            {came(minutes, _WEEK)} >= {MINIMUM}
            and {came(minutes, _WEEK + minutes)} >= {MINIMUM}
            unless {came(minutes)}
              >= {SHARE} * {came(minutes, _WEEK)}
            """,
            {"window": window},
            f"""
            What came in this {window} a week ago, where now less than {SHARE:.0%} of it comes, or nothing that has a series
            at all. The {window} before must have had as many: who sends in lumps is not silent between them.
            """,
        )
    yield Alert(
        "SourceSilent",
        "max by (source, hub_id) (milepost:source_missed)",
        "page",
        "platform",
        "{{ $labels.source }} has fallen silent at hub {{ $labels.hub_id }}: a week ago {{ $value | humanize }} events came "
        "at this time, now next to none",
        "From {{ $labels.source }} nothing comes any more of hub {{ $labels.hub_id }}, or less than a twentieth of what came a "
        "week ago at this time ({{ $value | humanize }} events). The hub's numbers cannot be trusted meanwhile: what is not "
        "heard of looks broken. Its own pages are held back.",
        "/d/milepost-platform?var-hub={{ $labels.hub_id | urlquery }}",
        wait="2m",
        keep="7m",
    )
