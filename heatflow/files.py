"""Writing files so that a run that ends early, however it ends, leaves each of them as it was or as it should be."""

import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from heatflow.errors import reading

# Where a formula may start: at the beginning, or after what some spreadsheets separate cells at; some also take the
# wide signs of East Asia.
_FORMULA = re.compile(r"""(?:^(?=[\t\r])|(?:^|(?<=[;,|\t\r\n]))(?=[\s"']*[=+\-@\uff1d\uff0b\uff0d\uff20]))""")
_held: dict[Path, Path] | None = None  # what `together` moves into place at its end: where to, from where


@contextmanager
def replacing(path: str | Path, *, held: bool = True) -> Iterator[Path]:
    """Yield a path to write to; what is there when the block ends well is moved to `path`, at once or by `together`.

    Where `held` is false it is moved at once whatever happens later.

    Works for a file or for a directory that the block creates. The name is the same, and drivers that choose a format
    by it, or write it down, see no other. It lies in a folder of this process beside `path`, so that two processes do
    not write to one file; what a killed process left is cleared away.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.partial"):
        owner = left.name.split(".")[-2]
        if owner == str(os.getpid()) or not _alive(owner):
            _remove(left)
    beside = path.parent / f".{path.name}.{os.getpid()}.partial" / path.name
    beside.parent.mkdir()
    try:
        yield beside
    except BaseException:
        _remove(beside.parent)
        raise
    if _held is None or not held:
        _move(beside, path)
    else:
        _held[path] = beside


@contextmanager
def together() -> Iterator[None]:
    """Hold back all that `replacing` has to move until the block ends well; where it does not, nothing is moved.

    Raises
    ------
    RuntimeError
        One inside another.
    """
    global _held
    if _held is not None:
        raise RuntimeError("together() is not to be used inside itself")
    held: dict[Path, Path] = {}
    _held = held
    try:
        yield
        for path, beside in held.items():
            _move(beside, path)
    finally:
        _held = None
        for beside in held.values():
            _remove(beside.parent)


def _move(beside, path):
    """A file takes the place of the old one in a single step; an old directory has to step aside first."""
    if path.is_dir() and not path.is_symlink():
        aside = beside.with_name(f"{beside.name}.old")
        os.replace(path, aside)
    os.replace(beside, path)
    _remove(beside.parent)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _alive(process):
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def write_json(path: str | Path, content: dict, digits: int = 4) -> None:
    """Write `content` with floats rounded to `digits` decimals; a float that is not finite becomes null."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(_rounded(content, digits), indent=2) + "\n", encoding="utf-8")


def _rounded(value, digits):
    if isinstance(value, dict):
        return {str(k): _rounded(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v, digits) for v in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return round(value, digits) + 0.0 if math.isfinite(value) else None
    return value


def write_csv(path: str | Path, table) -> None:
    """Write a pandas table without its index, floats to six significant digits.

    What a spreadsheet would take for a formula, at the start of a text or where it may start a cell, gets an
    apostrophe in front.
    """
    for name in table.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]]:
        text = table[name].astype(str)
        formula = text.str.contains(_FORMULA) & pd.to_numeric(text, errors="coerce").isna()
        if formula.any():
            table = table.assign(**{name: table[name].where(~formula, text.str.replace(_FORMULA, "'", regex=True))})
    with replacing(path) as beside:
        table.to_csv(beside, index=False, float_format="%.6g", lineterminator="\n")


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, of which a few lines spell out gigabytes, and without numbers that Python cannot print."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases (*) are not read; write it out", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node):
        if len(node.value) > 1000:
            raise yaml.MarkedYAMLError(problem="a number that long is not read", problem_mark=node.start_mark)
        return super().construct_yaml_int(node)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


def parse_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    """What a YAML document holds, and its nodes, which know their lines.

    Raises
    ------
    ValueError
        It is not valid YAML, or more than plain data.
    """
    try:
        return yaml.load(text, _PlainLoader), yaml.compose(text, _PlainLoader)
    # others than YAMLError: dates and numbers that there are not, a list as a key, brackets without end
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from None


def read_json(path: str | Path, keys: Iterable[str] = ()):
    """What `write_json` wrote; InputError where it is damaged, or is no mapping with these keys."""
    with reading(path):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if missing := [key for key in keys if not isinstance(content, dict) or key not in content]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return content


def read_csv(path: str | Path, columns: Iterable[str] = (), **options) -> pd.DataFrame:
    """A table that `write_csv` wrote; InputError where it is damaged, lacks a column, or its last line is not whole."""
    with reading(path):
        text = Path(path).read_bytes()
        if not text.endswith(b"\n"):
            raise ValueError("its last line has no end")
        table = pd.read_csv(path, **options)
        if missing := [name for name in columns if name not in table]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return table
