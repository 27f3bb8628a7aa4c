"""The page of params, docs/params.md: every param with its default, what is allowed and what it means."""

from collections.abc import Iterator
from typing import Any

import yaml

from heatflow.config.schema import Params, is_section
from heatflow.io.text import markdown_table

HEAD = """# Params

Every param of [params.yaml](../params.yaml), from its typed form in
[heatflow/config/schema.py](../heatflow/config/schema.py). `make docs` writes it, and a test fails where it is out
of date. Change one for one experiment with `dvc exp run -S train.dropout=0.3`.
"""


def page(defaults: dict[str, Any]) -> str:
    """Write the page as Markdown.

    Parameters
    ----------
    defaults : dict
        Content of params.yaml.

    Returns
    -------
    str
    """
    lines = [HEAD]
    for name, field in Params.model_fields.items():
        rows = _rows(field.annotation, defaults[name], "")
        lines += [f"## {name}", "", *markdown_table(("param", "default", "allowed", "meaning"), rows), ""]
    return "\n".join(lines)


def _rows(section: Any, defaults: dict[str, Any], prefix: str) -> Iterator[tuple[str, ...]]:
    schema = section.model_json_schema()
    for name, field in section.model_fields.items():
        if is_section(part := field.annotation):
            yield from _rows(part, defaults[name], f"{prefix}{name}.")
            continue
        default = yaml.safe_dump(defaults[name], default_flow_style=True).removesuffix("\n").removesuffix("\n...")
        meaning = " ".join((field.description or "").split())
        yield f"`{prefix}{name}`", f"`{default}`", _allowed(schema["properties"][name]), meaning


def _allowed(schema: dict[str, Any]) -> str:
    """What a JSON schema accepts, in words."""
    if "anyOf" in schema:
        return " or ".join(_allowed(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        items = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {_allowed(items)}"
    if schema.get("type") == "object":
        return f"{_allowed(next(iter(schema['patternProperties'].values())))} by name"
    kinds = {"null": "null", "boolean": "true or false", "integer": "whole number", "string": "text"}
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return f"{kinds.get(kind := schema.get('type', 'anything'), kind)} {', '.join(limits)}".strip()
