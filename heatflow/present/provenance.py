"""What made a run: checksums of files, versions of packages, params; without names of folders, users or secrets."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rasterio
import yaml

from heatflow.config.schema import Params

PACKAGES = (
    "captum", "dvc", "geopandas", "matplotlib", "numpy", "pandas", "pyogrio", "rasterio", "scikit-learn", "scipy",
    "shapely", "torch", "torchvision",
)  # fmt: skip


def versions() -> list[tuple[str, str]]:
    """Names and versions of Python, GDAL and the packages that compute."""
    own = [("Python", platform.python_version()), ("GDAL", rasterio.__gdal_version__)]
    return own + [(name, version(name)) for name in PACKAGES]


def md5(path: Path) -> str:
    """Checksum of a file, or of all files of a folder in the order of their names."""
    total = hashlib.md5()
    for part in sorted(path.iterdir()) if path.is_dir() else [path]:
        with part.open("rb") as file:
            hashlib.file_digest(file, lambda: total)
    return total.hexdigest()


def shown_path(path: str) -> str:
    """A path as the report may show it.

    A path inside the project stays as it is, another becomes its name alone; an address loses user, password and query.

    >>> shown_path("data/wells.csv"), shown_path("/path/to/wells.csv"), shown_path("https://me:secret@a.org/b.tif?key=1")
    ('data/wells.csv', 'wells.csv', 'https://a.org/b.tif')
    """
    if "://" in path:
        address = urlsplit(path[path.lower().index("http") :] if "http" in path.lower() else path)
        return f"{address.scheme}://{address.hostname}{address.path}"
    return Path(path).name if Path(path).is_absolute() else path


def file_name(path: str) -> str:
    """The name of a file or address without its folders."""
    return Path(shown_path(path)).name


def checksums(params: Params, outputs: Iterable[Path]) -> list[tuple[str, str]]:
    """Names and MD5 of the files that a run used and made.

    Parameters
    ----------
    params : Params
    outputs : iterable of Path
        Files or folders that the run made, inside the project.
    """
    data = params.data
    used = map(Path, (data.elevation, *data.layers.values(), data.wells, *data.features.values()))
    inputs = [(path.name, md5(path)) for path in used if path.is_file()]
    return inputs + [(str(path), md5(path)) for path in outputs]


def params_text(params: Params) -> str:
    """The params as YAML; those of the demo are left out where the region is another."""
    named = {key: value for key, value in vars(params.data).items() if isinstance(value, str)}
    data: dict[str, Any] = {key: shown_path(value) for key, value in named.items() if params.data.applies(value)}
    if layers := params.data.layers:
        data["layers"] = {name: shown_path(value) for name, value in layers.items()}
    sections = {name: getattr(params, name).model_dump(mode="json") for name in sorted(vars(params)) if name != "data"}
    rest = {name: values for name, values in sections.items() if name != "demo" or params.data.is_demo}
    return yaml.safe_dump({"data": data} | rest, sort_keys=False, allow_unicode=True)
