"""Queries in what alerts say, so that a summary has the numbers."""


def since(alert: str, *labels: str) -> str:
    """Since when the alert's condition holds, for its summary."""
    matchers = "".join(f", {label}=%q" for label in labels)
    values = "".join(f" $labels.{label}" for label in labels)
    query = f'printf `ALERTS_FOR_STATE{{alertname="{alert}"{matchers}}}`{values}' if labels else (
        f"""`ALERTS_FOR_STATE{{alertname="{alert}"}}`"""
    )  # fmt: skip
    return (
        f'{{{{ with {query} | query }}}} since {{{{ (. | first | value | toTime).Format "15:04" }}}} UTC{{{{ end }}}}'
    )


def number(query: str, *labels: str, shown: str = "printf `%.0f`") -> str:
    """The value of a query in an annotation, 0 where it has none."""
    values = "".join(f" $labels.{label}" for label in labels)
    asked = f"printf `{query}`{values}" if labels else f"`{query}`"
    return f"{{{{ with {asked} | query }}}}{{{{ . | first | value | {shown} }}}}{{{{ else }}}}0{{{{ end }}}}"
