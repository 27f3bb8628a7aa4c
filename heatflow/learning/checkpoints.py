"""Training that was killed goes on from its last finished epoch, to the same weights as if nothing had happened."""

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

from heatflow.errors import InputError
from heatflow.io.atomic import replacing

KEPT = 4  # folders of other runs that were killed; the oldest go first
_DIGEST = 32  # bytes of SHA-256
_KEY = re.compile("[0-9a-f]{32}")
_STATE = {"network", "optimizer", "schedule", "history", "best", "random"}  # as heatflow.learning.training gives it


class Checkpoints:
    """States of training under names, in a folder of its own for each `key`.

    A state that is damaged, or was written by another run, counts as none. On success `clear` takes the folder away.

    Parameters
    ----------
    folder : shared by runs with whatever key; what is in it and not named as a key is let be
    key : as `fingerprint` makes it

    Raises
    ------
    InputError
        The folder is a link: old states are removed, and nothing elsewhere must be.
    """

    def __init__(self, folder: Path, key: str):
        self.folder = folder / key
        for path in (folder, self.folder):
            if path.is_symlink():
                raise InputError(
                    f"{path}: is a link to elsewhere, and states of training are not kept there; remove it"
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.touch()
        for old in sorted(_others(self.folder), key=_age)[: -KEPT or None]:
            shutil.rmtree(old, ignore_errors=True)

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Put a state in the place of the last one of that name, whole or not at all."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        # No fsync: a killed process loses nothing that it has written. After a power cut the digest tells.
        with replacing(self.folder / name) as beside:
            beside.write_bytes(hashlib.sha256(content).digest() + content)

    def load(self, name: str) -> dict[str, Any] | None:
        """The last whole state of that name, on the CPU. Loads tensors, numbers and text only, never code."""
        try:
            raw = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(raw[_DIGEST:]).digest() != raw[:_DIGEST]:
            return None
        try:
            state = torch.load(io.BytesIO(raw[_DIGEST:]), map_location="cpu", weights_only=True)
        except Exception:  # what the digest cannot tell: whole, but never a state
            return None
        return state if isinstance(state, dict) and set(state) == _STATE else None

    def clear(self) -> None:
        """Remove all states of this key."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _others(folder):
    for path in folder.parent.iterdir():
        if path != folder and _KEY.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def _age(path):
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another run has just removed it
        return 0.0


def fingerprint(settings: Any, files: Iterable[str | Path]) -> str:
    """Hexadecimal digest of all that decides what training comes to.

    Parameters
    ----------
    settings : params, engine and the like: whatever JSON takes, or objects with attributes
    files : inputs and code, by content
    """
    digest = hashlib.sha256()
    text = json.dumps(settings, default=vars)
    digest.update(f"{text} {torch.__version__} {sys.version}".encode())
    for path in files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
