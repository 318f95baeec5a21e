"""SQL of the panels, composed of the KPI catalogue: values, what is behind them, and from which rows.

Rows are always called ``k``, for a column that shares its name with a KPI must not be taken for it.
"""

from milepost.domain.kpis import KPIS, MINUTE_US, Kpi
from milepost.domain.measures import GROWTH, bucket_key, bucket_middle
from milepost.reading.spans import WHOLE

HUBS = "$__conditionalAll(hub_id IN (${hub:singlequote}), $hub)"
"""The chosen hubs; nothing is compared where all are."""
HUB = "hub_id = ${hub:singlequote}"
"""The one hub of a scorecard."""

_HOUR_US = 60 * MINUTE_US
_ANCHOR = bucket_key(0, _HOUR_US)
_NOUNS = {
    "due": "due",
    "due_original": "due",
    "delivered": "delivered",
    "delivery_timed": "delivered",
    "windowed": "delivered in a window",
    "attempted": "attempted",
    "tried": "planned stops",
    "priced": "with a known fee",
    "scored": "answers",
    "nps_answered": "answers",
    "closed": "closed",
}
_RANKS = "0.5, 0.9, 0.95"
_Z = 1.96
"""Standard deviations to either side of a share: 95 %."""


def named(name: str, stage: str | None = None) -> Kpi:
    """The catalogue's entry. Raises ``KeyError`` where there is none."""
    for kpi in KPIS:
        if kpi.name == name and kpi.stage == stage:
            return kpi
    raise KeyError(name)


def numerator(kpi: Kpi) -> str:
    """The sum that is divided, as an integer."""
    terms = " ".join(f"{'-' if sign < 0 else '+'} sum(k.{name})" for name, sign in kpi.numerator).removeprefix("+ ")
    return f"({terms})" if len(kpi.numerator) > 1 else terms


def value(kpi: Kpi) -> str:
    """The KPI's value over all rows of a group: sums first, divided once; null where nothing of it is known."""
    factor = f"{kpi.scale} * " if kpi.scale != 1 else ""
    divisor = f" / {kpi.unit_size}" if kpi.unit_size != 1 else ""
    ratio = f"{factor}{numerator(kpi)}{divisor} / nullIf(sum(k.{kpi.denominator}), 0)"
    if kpi.known is not None and kpi.known != kpi.denominator:
        return f"if(sum(k.{kpi.known}) = 0, NULL, {ratio})"
    if kpi.unknown is not None:
        return f"if(sum(k.{kpi.unknown}) = sum(k.{kpi.population}), NULL, {ratio})"
    return ratio


def unknown(kpi: Kpi) -> str | None:
    """How many of the population are not known; None where all are by definition."""
    if kpi.unknown is not None:
        return f"sum(k.{kpi.unknown})"
    if kpi.known is not None:
        return f"(sum(k.{kpi.population}) - sum(k.{kpi.known}))"
    return None


def coverage(kpi: Kpi) -> str | None:
    """The share of the population that is known; None where all is by definition."""
    missing = unknown(kpi)
    return None if missing is None else f"1 - {missing} / nullIf(sum(k.{kpi.population}), 0)"


def high(kpi: Kpi) -> str | None:
    """What the value would be were the unknown good; None where that is no question of the KPI's."""
    missing = unknown(kpi)
    if missing is None or kpi.population != kpi.denominator:
        return None
    return f"({numerator(kpi)} + {missing}) / nullIf(sum(k.{kpi.denominator}), 0)"


def noun(kpi: Kpi) -> str:
    """What the denominator counts, in a word or two."""
    return _NOUNS.get(kpi.denominator, "orders")


def behind(kpi: Kpi) -> str:
    """The words under a value: the orders behind it, what is known of them, and how high it might be."""
    counted = f"{spelled(f'sum(k.{kpi.denominator})')}, ' {noun(kpi)}'"
    if kpi.unit == "ratio":
        counted = f"{spelled(numerator(kpi))}, ' of ', {counted}"
    missing = unknown(kpi)
    if missing is None:
        return f"concat({counted})"
    said = f"' · known for ', {_percent(f'sum(k.{kpi.population}) - {missing}', f'sum(k.{kpi.population})')}"
    top = high(kpi)
    if top is not None:
        said += f", ' · {_percent_words(kpi, missing)}"
    return f"concat({counted}, if({missing} > 0, concat({said}), ''))"


def spelled(count: str) -> str:
    """A count as people read it, with a comma after each thousand."""
    return f"trim(LEADING ',' FROM reverse(replaceRegexpAll(reverse(toString({count})), '([0-9]{{3}})', '\\\\1,')))"


def _percent(part: str, whole: str) -> str:
    return f"toString(floor(100 * ({part}) / {whole}, 1)), ' %'"


def _percent_words(kpi: Kpi, missing: str) -> str:
    best = _percent(f"{numerator(kpi)} + {missing}", f"sum(k.{kpi.denominator})")
    return f"up to ', {best}"


def values(kpis: tuple[Kpi, ...]) -> str:
    """Columns with the values of ``kpis`` under their names."""
    return ", ".join(f"{value(kpi)} AS {kpi.stage or kpi.name}" for kpi in kpis)


def hours(*kpis: Kpi, where: str = HUBS) -> str:
    """FROM and WHERE: whole hours that begin within the time range, the running one up to its last whole minute."""
    rows = _hub_hours(where)
    return rows if _costs(kpis) else f"{rows} AND {WHOLE}"


def reasons(of: str, where: str = HUBS) -> str:
    """FROM and WHERE: the rows of the reasons ``of`` something, a reason in ``activity``, over what ``hours`` reads."""
    return f"{_hub_hours(where)} AND component = '{of}'"


def _hub_hours(where: str) -> str:
    return f"kpi_hub_hours AS k WHERE hour >= $__fromTime AND hour < $__toTime AND {where}"


def last_hour(where: str = HUBS) -> str:
    """FROM and WHERE: the last sixty whole minutes, whatever the time range."""
    ended = "minute >= toStartOfMinute(now()) - INTERVAL 1 HOUR AND minute < toStartOfMinute(now())"
    return f"kpi_minutes AS k WHERE {ended} AND {WHOLE} AND {where}"


def days(*kpis: Kpi, where: str = HUBS, view: str = "kpi_days") -> str:
    """FROM and WHERE: whole UTC days that begin within the time range and have ended."""
    rows = f"{view} AS k WHERE minute >= $__fromTime AND minute < $__toTime AND minute < toStartOfDay(now('UTC'))"
    rows += f" AND {where}"
    return rows if _costs(kpis) else f"{rows} AND {WHOLE}"


def courier_days(*kpis: Kpi, where: str = HUB) -> str:
    """The same by courier."""
    return days(*kpis, where=where, view="kpi_courier_days")


def _costs(kpis: tuple[Kpi, ...]) -> bool:
    return any("cost" in kpi.measures for kpi in kpis)


def delivery_histogram(*, keys: str = "", where: str = HUBS) -> str:
    """The histogram of delivery times as a subquery, over the hours that ``hours`` reads.

    Its columns are ``keys`` (expressions on ``hour`` and ``hub_id``), ``minutes`` (a bucket's middle), and ``n``. A
    bucket's middle follows from its number: within three in ten thousand of ``domain.measures.bucket_middle`` above a
    tenth of a second.
    """
    middle = f"if(key = 0, 0, {bucket_middle(_ANCHOR) / MINUTE_US!r} * pow({GROWTH}, toInt32(key) - {_ANCHOR}))"
    given = f"{keys}, " if keys else ""
    grouped = f"{keys.rpartition(' AS ')[2]}, " if keys else ""
    return (
        f"(SELECT {given}{middle} AS minutes, toUInt64(sum(counted)) AS n FROM kpi_delivery_histograms "
        f"ARRAY JOIN bucket AS key, count AS counted WHERE hour >= $__fromTime AND hour < $__toTime AND {where} "
        f"GROUP BY {grouped}key HAVING n > 0)"
    )


def quantiles() -> str:
    """p50, p90, p95 of a ``delivery_histogram``, by linear interpolation between the nearest ranks; null of none."""
    found = f"quantilesExactWeightedInterpolated({_RANKS})(minutes, n)"
    return ", ".join(f"if(sum(n) = 0, NULL, {found}[{i}]) AS {name}" for i, name in enumerate(("p50", "p90", "p95"), 1))


def likely(kpi: Kpi) -> tuple[str, str]:
    """Both ends of the share's score interval (E. B. Wilson, 1927), which holds for few orders too; 95 %."""
    n, share = f"nullIf(sum(k.{kpi.denominator}), 0)", f"{numerator(kpi)} / nullIf(sum(k.{kpi.denominator}), 0)"
    z = _Z * _Z
    middle = f"({share} + {z / 2} / {n})"
    reach = f"{_Z} * sqrt(greatest({share} * (1 - {share}), 0) / {n} + {z / 4} / pow({n}, 2))"
    scale = f"(1 + {z} / {n})"
    return f"greatest(0, ({middle} - {reach}) / {scale})", f"least(1, ({middle} + {reach}) / {scale})"
