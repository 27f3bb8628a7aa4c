"""Reading params.yaml: the whole file is checked before a stage does any work, and all faults are reported at once."""

import math
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from heatflow.config.schema import Params, Section, is_section
from heatflow.errors import InputError
from heatflow.io.text import parse_yaml

AnySection = TypeVar("AnySection", bound=Section)
Location = tuple[str | int, ...]
_SHORT = reprlib.Repr()  # a value of the file on one line
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 100, 100


def load(path: str | Path, names: tuple[str, ...] | None = None) -> Params:
    """Check the whole of params.yaml, and return it or the sections and single params that are named.

    Parameters
    ----------
    path : str or Path
    names : tuple of str, optional
        Sections and params such as ``("tile", "data.elevation")``. What is not named is missing from the result, so
        that a stage cannot use a param that it has not declared. None returns all.

    Returns
    -------
    Params

    Raises
    ------
    InputError
        With every fault of the file: file, line, key, what is allowed and what the file holds.

    Examples
    --------
    >>> load("params.yaml").tile.class_names
    ['0: <=25', '1: 25-50', '2: 50-200', '3: >200']
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; run from the top folder of the project")
    try:
        content, nodes = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if nodes is None or not isinstance(content, dict):
        raise InputError(f"{path}: must hold sections such as 'train:', it holds {type(content).__name__}")
    lines = _key_lines(nodes)
    faults = [f"{_where(path, key[:-1], lines)}: {'.'.join(key)}: missing" for key in _missing(Params, content)]
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        faults += [_describe(path, fault, lines) for fault in error.errors(include_url=False)]
    if faults:
        raise InputError("\n".join(faults))
    return params if names is None else _only(params, names)


def _only(params: Params, names: tuple[str, ...]) -> Params:
    """Params without what is not named."""
    keys: dict[str, list[str]] = {}
    for section, _, key in (name.partition(".") for name in names):
        keys.setdefault(section, []).append(key)
    sections = {name: getattr(params, name) for name in keys}
    parts = {name: part if "" in keys[name] else _part(part, keys[name]) for name, part in sections.items()}
    return _part(params.model_copy(update=parts), keys)


def _part(model: AnySection, keys: Iterable[str]) -> AnySection:
    """A section with some of its params; reading another is an AttributeError."""
    part = model.model_copy()
    for name in type(model).model_fields.keys() - set(keys):
        vars(part).pop(name)
    return part


def _missing(model: type[Section], content: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Keys that params.yaml lacks; DVC tracks what the file holds, so nothing may be left to a default."""
    for name, field in model.model_fields.items():
        if name not in content:
            yield (*prefix, name)
        elif is_section(kind := field.annotation) and isinstance(content[name], dict):
            yield from _missing(kind, content[name], (*prefix, name))


def _where(path: Path, location: Location, lines: dict[Location, int]) -> str:
    return f"{path}:{lines[location]}" if location in lines and location else str(path)


def _describe(path: Path, fault: Any, lines: dict[Location, int]) -> str:
    location = fault["loc"]
    known = tuple(location[: max(n for n in range(len(location) + 1) if location[:n] in lines)])
    # below a known key pydantic names the branch of a union that it tried, which is nothing that the file holds
    where, key = _where(path, known, lines), ".".join(map(str, known)) or "params"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        return f"{where}: {key}: unknown key; remove it or correct its name"
    if fault["type"] == "value_error":
        return f"{where}: {key}: {message}"
    infinite = isinstance(fault["input"], float) and not math.isfinite(fault["input"])
    given = "not a finite number" if infinite else _SHORT.repr(fault["input"])
    return f"{where}: {key}: {message[0].lower()}{message[1:]} (it is {given})"


def _key_lines(node: yaml.Node, prefix: Location = ()) -> dict[Location, int]:
    """Line number of every key path of a composed YAML document, no deeper than params go."""
    lines: dict[Location, int] = {prefix: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode) and len(prefix) < 3:
        for key, value in node.value:
            lines |= _key_lines(value, (*prefix, key.value)) | {(*prefix, key.value): key.start_mark.line + 1}
    return lines
