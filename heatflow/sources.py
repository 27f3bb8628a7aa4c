"""Public data by name: the catalogue data/sources.yaml, and fetching from it into data/sources/."""

import logging
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pooch
import requests
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from tqdm import tqdm

from heatflow.errors import InputError, one_line
from heatflow.io.text import parse_yaml

CATALOGUE = Path("data/sources.yaml")
FOLDER = Path("data/sources")
RETRIES = 3
MAX_BYTES = 20_000_000_000  # of a source whose size is not published
NAME = r"^\w[\w.+-]*$"


class Source(BaseModel):
    """One entry of the catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    citation: str
    doi: str
    licence: str
    url: str = Field(pattern=r"^https?://")
    file: str = Field(pattern=NAME)
    size: int | None
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    use: str


def read_catalogue(path: Path = CATALOGUE) -> dict[str, Source]:
    """Read the sources of a catalogue by name.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of str to Source

    Raises
    ------
    InputError
        There is no such file, it is not YAML, or an entry is not as it should be.
    """
    try:
        content, _ = parse_yaml(path.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, Source]).validate_python(content)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the top folder of the project") from None
    except ValidationError as error:
        faults = [f"{path}: {'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors(include_url=False)]
        raise InputError("\n".join(faults)) from None
    except ValueError as error:
        raise InputError(f"{path}: not a catalogue of sources ({one_line(error)})") from None


def fetch(name: str, source: Source, folder: Path = FOLDER, *, progress: bool = False) -> Path:
    """Fetch a source into a folder.

    The file gets its name only once it is whole and its checksum right; a file that is there and right is not fetched.
    What a killed download left is removed.

    Parameters
    ----------
    name : str
        Of the source in the catalogue.
    source : Source
    folder : Path
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    InputError
        The server or the network failed several times, or what came is not what was published.
    """
    target, host = folder / source.file, _host(source.url)
    if target.exists():
        if source.sha256 is None or pooch.file_hash(str(target)) == source.sha256:
            return target
        target.unlink()
    with _arriving(folder / ".arriving" / source.file) as arriving, _failures(name, source, folder):
        known = {source.file: source.sha256 and f"sha256:{source.sha256}"}
        store = pooch.create(arriving, "", registry=known, urls={source.file: source.url}, retry_if_failed=RETRIES)
        came = Path(store.fetch(source.file, downloader=partial(_download, source, progress)))
        size = came.stat().st_size
        if source.size is not None and size != source.size:
            raise InputError(f"{name}: {size:,} bytes came from {host}, and {source.size:,} were published: not kept")
        if target.suffix == ".zip" and not zipfile.is_zipfile(came):
            raise InputError(f"{name}: what came from {host} is no zip archive (a web page, perhaps): not kept")
        os.replace(came, target)
    return target


@contextmanager
def _arriving(folder: Path) -> Iterator[Path]:
    """A folder to download into, empty at first and removed at the end."""
    pooch.get_logger().setLevel(logging.ERROR)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another fetch may be using it
            folder.parent.rmdir()


@contextmanager
def _failures(name: str, source: Source, folder: Path) -> Iterator[None]:
    """Say what failed: the server, the network, the content or the disk."""
    host, doi = _host(source.url), f"https://doi.org/{source.doi}"
    try:
        yield
    except requests.HTTPError as error:
        answer = "an error" if error.response is None else f"{error.response.status_code} {error.response.reason}"[:80]
        remedy = f"if it has moved, look it up at {doi} and correct {CATALOGUE}"
        raise InputError(f"{name}: {host} answered {answer} for {_without_secrets(source.url)}; {remedy}") from None
    except requests.RequestException as error:
        broke = f"{name}: the download from {host} broke off ({type(error).__name__})"
        raise InputError(f"{broke}; nothing was kept, try again") from None
    except ValueError as error:
        if "hash" not in str(error):
            raise
        wrong = f"{name}: what came from {host} has another checksum than was published: not kept"
        raise InputError(f"{wrong}. Try again; if it stays so, the file was replaced: see {doi}") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be kept in {folder}: {error.strerror or error}") from None


def _host(url: str) -> str:
    """Name and port of the server, without user and password."""
    return urlparse(url).netloc.rpartition("@")[2]


def _without_secrets(url: str) -> str:
    """An address without user, password and query, any of which may let people in."""
    return urlparse(url)._replace(netloc=_host(url), params="", query="", fragment="").geturl()


def _download(source: Source, progress: bool, url: str, path: str, store: Any) -> None:
    """As pooch's own, but no further than the size that was published, and never from https to http."""
    most, host = source.size if source.size is not None else MAX_BYTES, _host(url)
    with requests.get(url, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        if url.startswith("https:") and not all(hop.url.startswith("https:") for hop in (*answer.history, answer)):
            raise InputError(f"{host} sends on to {_without_secrets(answer.url)}, which is not encrypted: not fetched")
        bar = tqdm(total=source.size, desc=source.file, unit="B", unit_scale=True, disable=not progress)
        with open(path, "wb") as file, bar:
            for part in answer.iter_content(1 << 20):
                if file.tell() + len(part) > most:
                    raise InputError(f"more than {most:,} bytes came from {host}, not what was published: not kept")
                file.write(part)
                bar.update(len(part))


def listing(catalogue: dict[str, Source]) -> list[str]:
    """Name, title, size, licence and DOI of each source, two lines each."""
    lines = []
    for name, source in catalogue.items():
        size = "size unknown" if source.size is None else f"{source.size / 1e6:,.0f} MB"
        lines += [f"{name:12} {source.title} ({size}, {source.licence})", f"{'':12} doi {source.doi}"]
    return lines


def usage(source: Source, path: Path) -> list[str]:
    """What came, how to cite it and how to use it, a line each.

    Parameters
    ----------
    source : Source
    path : Path
        Where `fetch` put it.
    """
    checked = "checksum right" if source.sha256 else f"sha256 {pooch.file_hash(str(path))}, which nobody has published"
    changes = " ".join(f"-S {part}" for part in source.use.replace("{path}", str(path)).split())
    cite = f"cite: {source.citation}, doi {source.doi} ({source.licence})"
    return [f"{path} ({path.stat().st_size:,} bytes, {checked})", cite, f"use:  dvc exp run {changes}"]
