"""The exceptions that are meant for the person at the keyboard."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OUT_OF_MEMORY = (
    "out of memory", "t allocate memory", "t start new thread", "cannot allocate", "temporarily unavailable",
    "could not create a primitive", "failed to map segment", "bad_alloc",
)  # fmt: skip


class InputError(Exception):
    """Input that cannot be used. The message says what is wrong, where, and what to do; a stage exits with code 2."""


def printable(text: str) -> str:
    """Text from elsewhere as it may be shown on a terminal, which control characters would steer.

    >>> printable("a\\x1b[31mb")
    'a\ufffd[31mb'
    """
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Around the reading of a file that an earlier stage wrote: whatever goes wrong in it, the file is damaged.

    Raises
    ------
    InputError
        In place of any error but those of the operating system and of want of memory, which say so themselves.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with: dvc repro") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = "remove it, and make it anew with: dvc repro"
        raise InputError(f"{path}: damaged, or cut short ({reason}); {remedy}") from None


def fault_of_machine(error: BaseException) -> str | None:
    """What to tell the person where the machine failed rather than the input or the code; None where it did not."""
    text = " ".join(str(error).split())
    kind = f"{type(error).__module__}.{type(error).__name__}"
    chain: BaseException | None = error
    while chain is not None:  # what a library makes of it may name another trouble
        if isinstance(chain, MemoryError) or any(sign in str(chain).lower() for sign in OUT_OF_MEMORY):
            return f"not enough memory ({text or kind}); end what else is running, or use a machine with more"
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        what = (error.strerror or text).lower()
        remedy = {
            errno.ENOSPC: "free some space", errno.EDQUOT: "free some space", errno.EFBIG: "raise the limit",
            errno.EACCES: "give yourself the right to write there",
            errno.EPERM: "give yourself the right to write there",
            errno.EROFS: "the file system can only be read",
        }.get(error.errno, "see to it")  # fmt: skip
        return f"{where}{what}; {remedy} and run again"
    if kind.startswith(("rasterio.", "pyogrio.")):
        return (
            f"GDAL could not read or write a file ({text}); free some space if the disk is full, and if a file in "
            "data/ is damaged, remove it and make it anew with: dvc repro"
        )
    return None
