"""Public data by name: python -m heatflow.sources [NAME] lists data/sources.yaml, or fetches one into data/sources/."""

import argparse
import logging
import os
import re
import shutil
import sys
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import pooch
import requests
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from heatflow.errors import InputError, printable
from heatflow.io.text import parse_yaml

CATALOGUE = Path("data/sources.yaml")
FOLDER = Path("data/sources")
RETRIES = 3
MAX_BYTES = 20_000_000_000  # of a source whose size is not published


class Source(BaseModel):
    """One entry of the catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    citation: str
    doi: str
    licence: str
    url: str = Field(pattern=r"^https?://")
    file: str = Field(pattern=r"^\w[\w.+-]*$")
    size: int | None
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    use: str


def read_catalogue(path: Path = CATALOGUE) -> dict[str, Source]:
    """The sources of a catalogue by name.

    Raises
    ------
    InputError
        No such file, not YAML, or an entry that is not as it should be.
    """
    try:
        content, _ = parse_yaml(path.read_text(encoding="utf-8"))
        return {str(name): Source.model_validate(entry) for name, entry in content.items()}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the top folder of the project") from None
    except ValidationError as error:
        faults = [f"{path}: {'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors(include_url=False)]
        raise InputError("\n".join(faults)) from None
    except (AttributeError, ValueError) as error:
        raise InputError(f"{path}: not a catalogue of sources ({' '.join(str(error).split())})") from None


def fetch(name: str, source: Source, folder: Path = FOLDER, *, progress: bool = False) -> Path:
    """Bring a source into a folder and return its path.

    The file gets its name only once it is whole and its checksum right; a file that is there and right is left alone. A
    download that was killed is begun anew, and what it left is cleared away.

    Raises
    ------
    InputError
        The server or the network failed time and again, or what came is not what was published.
    """
    target = folder / source.file
    if target.exists():
        if source.sha256 is None or pooch.file_hash(str(target)) == source.sha256:
            return target
        target.unlink()
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise InputError(f"{CATALOGUE}: {name!r}: a name is made of letters, digits, and . + - _ after the first")
    arriving = folder / ".arriving" / name
    if arriving.parent.is_symlink() or arriving.is_symlink():  # what lies there is not ours to clear away
        raise InputError(f"{name}: {arriving.parent}, or what is in it, is a link to elsewhere; remove it")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    known = None if source.sha256 is None else f"sha256:{source.sha256}"
    store = pooch.create(
        arriving, base_url="", registry={source.file: known}, urls={source.file: source.url}, retry_if_failed=RETRIES
    )
    pooch.get_logger().setLevel(logging.ERROR)
    host, address = _host(source.url), _without_secrets(source.url)
    try:
        came = Path(store.fetch(source.file, downloader=partial(_download, source, progress)))
        size = came.stat().st_size
        if source.size is not None and size != source.size:
            raise InputError(f"{name}: {size:,} bytes came from {host}, and {source.size:,} were published: not kept")
        if target.suffix == ".zip" and not zipfile.is_zipfile(came):
            raise InputError(f"{name}: what came from {host} is no zip archive (a web page, perhaps): not kept")
        os.replace(came, target)
    except requests.HTTPError as error:
        answer = "an error" if error.response is None else f"{error.response.status_code} {error.response.reason}"[:80]
        raise InputError(
            f"{name}: {host} answered {answer} for {address}; "
            f"if it has moved, look it up at https://doi.org/{source.doi} and correct {CATALOGUE}"
        ) from None
    except requests.RequestException as error:
        reason = type(error).__name__
        raise InputError(
            f"{name}: the download from {host} broke off ({reason}); nothing was kept, try again"
        ) from None
    except ValueError as error:
        if "hash" not in str(error):
            raise
        raise InputError(
            f"{name}: what came from {host} has another checksum than was published: not kept. Try again; if it stays "
            f"so, the file was replaced: see https://doi.org/{source.doi}"
        ) from None
    except OSError as error:
        raise InputError(f"{name}: cannot be kept in {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
        with suppress(OSError):  # another fetch may be using it
            arriving.parent.rmdir()
    return target


def _host(url):
    """Name and port of the server, without user and password."""
    return urlparse(url).netloc.rpartition("@")[2]


def _without_secrets(url):
    """An address without user, password and query, any of which may let people in."""
    return urlparse(url)._replace(netloc=_host(url), params="", query="", fragment="").geturl()


def _download(source, progress, url, path, store):
    """As pooch's own, but no further than the size that was published, and never from https to http."""
    most = MAX_BYTES if source.size is None else source.size
    host = _host(url)
    with requests.get(url, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        if url.startswith("https:") and not all(hop.url.startswith("https:") for hop in (*answer.history, answer)):
            raise InputError(f"{host} sends on to {_without_secrets(answer.url)}, which is not encrypted: not fetched")
        with (
            open(path, "wb") as file,
            tqdm(total=source.size, desc=source.file, unit="B", unit_scale=True, disable=not progress) as bar,
        ):
            for part in answer.iter_content(1 << 20):
                if file.tell() + len(part) > most:
                    raise InputError(f"more than {most:,} bytes came from {host}, not what was published: not kept")
                file.write(part)
                bar.update(len(part))


def _say(text, file=None):
    print(printable(text), file=file)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m heatflow.sources", description=__doc__)
    parser.add_argument("name", nargs="?", help="source to fetch; without one they are listed")
    name = parser.parse_args(arguments).name
    catalogue = read_catalogue()
    if not name:
        for key, source in catalogue.items():
            size = "size unknown" if source.size is None else f"{source.size / 1e6:,.0f} MB"
            _say(f"{key:12} {source.title} ({size}, {source.licence})\n{'':12} doi {source.doi}")
        return
    if name not in catalogue:
        raise InputError(f"{name}: no such source; {CATALOGUE} has {', '.join(catalogue)}")
    source = catalogue[name]
    path = fetch(name, source, progress=sys.stderr.isatty())
    checked = "checksum right" if source.sha256 else f"sha256 {pooch.file_hash(str(path))}, which nobody has published"
    _say(f"{path} ({path.stat().st_size:,} bytes, {checked})")
    _say(f"cite: {source.citation}, doi {source.doi} ({source.licence})")
    _say("use:  dvc exp run " + " ".join(f"-S {part}" for part in source.use.replace("{path}", str(path)).split()))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        _say(f"fetch: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("fetch: interrupted", file=sys.stderr)
        sys.exit(130)
