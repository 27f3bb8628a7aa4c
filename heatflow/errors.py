"""Errors that are meant for the person at the keyboard."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OUT_OF_MEMORY = (
    "out of memory", "t allocate memory", "t start new thread", "cannot allocate", "temporarily unavailable",
    "could not create a primitive", "failed to map segment", "bad_alloc",
)  # fmt: skip
_REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space")
_REMEDIES |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "check that you may write there")


class InputError(Exception):
    """Input that cannot be used. The message says what is wrong, where, and what to do; a stage exits with code 2."""


class MachineError(Exception):
    """The machine, or the cluster, failed. The message says what to do; a stage exits with code 3."""


def printable(text: str) -> str:
    """Replace control characters, which would steer a terminal, in text from elsewhere.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> printable("a\\x1b[31mb")
    'a\ufffd[31mb'
    """
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(error: BaseException) -> str:
    """Message of an error on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Report whatever goes wrong while a file of an earlier stage is read as damage to that file.

    Parameters
    ----------
    path : str or Path
        The file, for the message.

    Raises
    ------
    InputError
        In place of any error but those of the operating system and lack of memory.
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
        damage = f"{path}: damaged, or cut short ({one_line(error)})"
        raise InputError(f"{damage}; delete it and make it again with: dvc repro") from None


def fault_of_machine(error: BaseException) -> str | None:
    """Message for an error that is the machine's fault: no memory, no space, no permission.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    str or None
        None where the input or the code is at fault.
    """
    text = one_line(error)
    if isinstance(error, MachineError):
        return text
    kind = f"{type(error).__module__}.{type(error).__name__}"
    chain: BaseException | None = error
    while chain is not None:  # a library may have raised another error from it
        if isinstance(chain, MemoryError) or any(sign in str(chain).lower() for sign in _OUT_OF_MEMORY):
            return f"not enough memory ({text}); close other programs, or use a machine with more memory"
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{(error.strerror or text).lower()}; {_REMEDIES.get(error.errno, 'solve this')} and run again"
    if type(error) is OSError and "requested and" in text:  # of numpy, which keeps the reason to itself
        return f"a file could not be written whole ({text}); free some space and run again"
    if kind.startswith(("rasterio.", "pyogrio.")):
        remedy = "if a file in data/ is damaged, delete it and make it again with: dvc repro"
        return f"GDAL could not read or write a file ({text}); free some space if the disk is full; {remedy}"
    return None
