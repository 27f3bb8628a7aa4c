"""Write a file or a folder beside its place, then rename it: a run that ends early leaves no part of an output."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file or a folder beside its place; it takes the place of `path` when the block ends without an error.

    The name is the same in a temporary folder beside `path`, because drivers choose a format by the name or write it
    down. A block that fails leaves `path` as it was.

    Parameters
    ----------
    path : str or Path
        Where the output goes. Missing parent folders are made.

    Yields
    ------
    Path
        Where to write.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as beside:
    ...     _ = beside.write_text("done")
    >>> (folder / "a.txt").read_text()
    'done'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(path)
    beside = path.parent / f".{path.name}.{os.getpid()}.partial" / path.name
    beside.parent.mkdir()
    try:
        yield beside
        if path.is_dir():  # a folder cannot be replaced in one step: the old one steps aside first
            os.replace(path, beside.with_name(f"{beside.name}.old"))
        os.replace(beside, path)
    finally:
        shutil.rmtree(beside.parent, ignore_errors=True)


def _clear_leftovers(path: Path) -> None:
    """Remove what a killed process left beside `path`; the folder of another process that lives is not touched."""
    for left in path.parent.glob(f".{path.name}.*.partial"):
        owner = left.name.split(".")[-2]
        if owner == str(os.getpid()) or not _alive(owner):
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
