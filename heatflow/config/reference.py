"""The page of params: every knob with its default, what is allowed and what it means."""

import sys
from pathlib import Path

import yaml
from pydantic import BaseModel

from heatflow.config.schema import Params

HEAD = """# Params

Every param of [params.yaml](../params.yaml), from its typed form in
[heatflow/config/schema.py](../heatflow/config/schema.py). `make docs` writes it, and a test fails where it is out
of date. Change one for one experiment with `dvc exp run -S train.dropout=0.3`.
"""


def page(defaults: dict) -> str:
    """The page as Markdown.

    Parameters
    ----------
    defaults : content of params.yaml
    """
    lines = [HEAD]
    for name, field in Params.model_fields.items():
        lines += [f"## {name}", "", "| param | default | allowed | meaning |", "| --- | --- | --- | --- |"]
        lines += _rows(field.annotation, defaults[name], "")
        lines.append("")
    return "\n".join(lines)


def _rows(model, defaults, prefix):
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _rows(field.annotation, defaults[name], f"{prefix}{name}.")
            continue
        default = yaml.safe_dump(defaults[name], default_flow_style=True).removesuffix("\n").removesuffix("\n...")
        allowed = _allowed(schema["properties"][name])
        yield f"| `{prefix}{name}` | `{default}` | {allowed} | {field.description or ''} |"


def _allowed(schema):
    """What a JSON schema lets through, in words."""
    if "anyOf" in schema:
        return " or ".join(_allowed(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = {"null": "null", "boolean": "true or false", "integer": "whole number", "number": "number", "string": "text"}
    if schema.get("type") == "array":
        items = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {_allowed(items)}"
    words = kind.get(schema.get("type", ""), "anything")
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return f"{words} {', '.join(limits)}".strip()


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
