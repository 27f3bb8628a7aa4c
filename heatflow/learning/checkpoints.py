"""Training that was killed goes on from its last finished epoch, and ends with the same weights."""

import hashlib
import io
import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from heatflow.io.atomic import replacing

KEPT = 4  # folders of other runs that were killed; the oldest go first
_DIGEST = 32  # bytes of SHA-256
_KEY = re.compile("[0-9a-f]{32}")


class Checkpoints:
    """States of training under names, in a folder of its own for each `key`.

    A state that is damaged, or was written by another run, counts as none. On success `clear` removes the folder.

    Parameters
    ----------
    folder : Path
        Shared by runs of any key. Of the folders in it that are named as keys, the oldest go.
    key : str
        From `fingerprint`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / key
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.touch()
        others = [path for path in folder.iterdir() if path.name != key and _KEY.fullmatch(path.name)]
        for old in sorted(others, key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Put a state in the place of the last one of that name, whole or not at all."""
        content = to_bytes(state)
        # No fsync: a killed process loses nothing that it has written. After a power cut the digest tells.
        with replacing(self.folder / name) as beside:
            beside.write_bytes(hashlib.sha256(content).digest() + content)

    def load(self, name: str) -> dict[str, Any] | None:
        """The last whole state of that name, on the CPU; None where there is none."""
        try:
            raw = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(raw[_DIGEST:]).digest() != raw[:_DIGEST]:
            return None
        return from_bytes(raw[_DIGEST:])

    def clear(self) -> None:
        """Remove all states of this key."""
        shutil.rmtree(self.folder, ignore_errors=True)


def to_bytes(state: dict[str, Any]) -> bytes:
    """A state of training as bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def from_bytes(content: bytes) -> dict[str, Any]:
    """The state of training that `to_bytes` was given, on the CPU."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def fingerprint(settings: Any, files: Iterable[str | Path]) -> str:
    """Digest of all that decides what training comes to.

    Parameters
    ----------
    settings : object
        Params, engine and the like: whatever JSON takes, or objects with attributes.
    files : iterable of str or Path
        Inputs and code, by content.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.sha256()
    text = json.dumps(settings, default=vars)
    digest.update(f"{text} {torch.__version__} {sys.version}".encode())
    for path in files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
