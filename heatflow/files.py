"""Writing files so that an interrupted run never leaves half of one."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; move it into place when the block ends well, delete it otherwise.

    Works for a file or for a directory that the block creates. The name keeps the suffix, by which drivers choose
    a format.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.partial{path.suffix}")
    _remove(beside)
    try:
        yield beside
        if path.is_dir():
            _remove(path)
        os.replace(beside, path)
    finally:
        _remove(beside)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
    """Write a pandas table without its index, floats to six significant digits."""
    with replacing(path) as beside:
        table.to_csv(beside, index=False, float_format="%.6g", lineterminator="\n")
