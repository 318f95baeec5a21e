"""`deploy/sla/policies.schema.json`: the JSON Schema of the file of SLA policies, for editors."""

import json

from milepost.policies.schema import policies_schema


def render() -> str:
    """The text of the schema file."""
    return json.dumps(policies_schema(), indent=2, ensure_ascii=False) + "\n"
