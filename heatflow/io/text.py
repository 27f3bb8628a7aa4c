"""Small files between stages as text: JSON and CSV that are the same bytes for the same values, and YAML with lines."""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from heatflow.errors import one_line, reading
from heatflow.io.atomic import replacing

# Where a spreadsheet may see a formula: at the start of a text, or after what some spreadsheets separate cells at. Some
# also take the wide signs of East Asia.
_FORMULA = re.compile(r"""(?:^(?=[\t\r])|(?:^|(?<=[;,|\t\r\n]))(?=[\s"']*[=+\-@\uff1d\uff0b\uff0d\uff20]))""")


def write_json(path: str | Path, content: dict[str, Any], digits: int = 4) -> None:
    """Write a mapping as JSON, floats rounded; a float that is not finite becomes null.

    Parameters
    ----------
    path : str or Path
    content : dict
        Numbers may be those of numpy.
    digits : int
        Decimals that floats are rounded to.
    """
    with replacing(path) as beside:
        beside.write_text(json.dumps(_rounded(content, digits), indent=2) + "\n", encoding="utf-8")


def _rounded(value: Any, digits: int) -> Any:
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


def read_json(path: str | Path, keys: Iterable[str] = ()) -> Any:
    """Read what `write_json` wrote.

    Parameters
    ----------
    path : str or Path
    keys : iterable of str
        Keys that the mapping must have.

    Raises
    ------
    InputError
        The file is damaged, or lacks one of the keys.
    """
    with reading(path):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if missing := [key for key in keys if not isinstance(content, dict) or key not in content]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return content


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its index, floats to six significant digits.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.

    Parameters
    ----------
    path : str or Path
    table : DataFrame
    """
    for name in table.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]]:
        text = table[name].astype(str)
        formula = text.str.contains(_FORMULA) & pd.to_numeric(text, errors="coerce").isna()
        if formula.any():
            table = table.assign(**{name: table[name].where(~formula, text.str.replace(_FORMULA, "'", regex=True))})
    with replacing(path) as beside:
        table.to_csv(beside, index=False, float_format="%.6g", lineterminator="\n")


def read_csv(path: str | Path, columns: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    """Read a table that `write_csv` wrote.

    Parameters
    ----------
    path : str or Path
    columns : iterable of str
        Columns that it must have.
    **options
        Passed to `pandas.read_csv`.

    Raises
    ------
    InputError
        The file is damaged, lacks a column, or ends within a line.
    """
    with reading(path):
        if not Path(path).read_bytes().endswith(b"\n"):
            raise ValueError("its last line does not end")
        table = pd.read_csv(path, **options)
        if missing := [name for name in columns if name not in table]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return table


def markdown_table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """Lines of a Markdown table."""
    names = [*head]
    lines: list[Iterable[object]] = [names, ["---"] * len(names), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def parse_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    """Parse a YAML document of plain data.

    Parameters
    ----------
    text : str

    Returns
    -------
    content : object
    nodes : yaml.Node or None
        The same with line numbers; None for an empty document.

    Raises
    ------
    ValueError
        It is not valid YAML, or holds more than plain data.
    """
    try:
        return yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    # others than YAMLError: dates that do not exist, a list as a key, brackets without end
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not valid YAML: {one_line(error)}") from None
