"""The typed form of params.yaml: every knob with its unit, range and meaning.

The whole file is checked before a stage does any work, and all that is wrong with it is reported at once.
"""

import math
import reprlib
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from heatflow.errors import InputError
from heatflow.files import parse_yaml

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
PositiveFloat = Annotated[float, Field(gt=0)]


class _Short(reprlib.Repr):
    """What stands in the file, in a line."""

    def repr_int(self, x, level):
        return super().repr_int(x, level) if abs(x) < 10**40 else "a number of more than 40 digits"


SHORT = _Short()
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 2, 100, 100


class Section(BaseModel):
    """A part of params.yaml: unknown keys, infinities and NaN are refused; values cannot be changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class Data(Section):
    elevation: str = Field(min_length=1, description="elevation: a path or URL of any raster GDAL can read")
    wells: str = Field(min_length=1, description="wells: a path of any vector file or CSV")
    structures: str = Field(
        min_length=1,
        description="known structural settings or geothermal systems, any vector file of points; read to test saliency "
        "alone. The demo's do not count where data.elevation is not the demo's",
    )
    faults: str = Field(min_length=1, description="mapped faults, any vector file of lines; as data.structures")
    ablation: str = Field(
        min_length=1,
        description="table of the source report's experiments that `make ablation` wrote, shown in the report; as "
        "data.structures",
    )


class Demo(Section):
    seed: Seed = Field(description="everything in the synthetic region follows from it")
    width: PositiveFloat = Field(le=5000, description="km, west to east")
    height: PositiveFloat = Field(le=5000, description="km, south to north")
    resolution: PositiveFloat = Field(ge=50, le=5000, description="m, edge of a pixel")
    signal: Fraction = Field(description="how far structure controls heat; 0: not at all (the null region)")
    sampling_bias: Fraction = Field(description="how far wells follow heat; 0: sited without regard to it")
    erase: bool = Field(description="whether the terrain shows none of the structures that heat follows")


class Terrain(Section):
    resolution: float = Field(ge=0.01, le=1e6, description="m, edge of a pixel of the working grid")
    crs: str | int | None = Field(
        description="working CRS: EPSG code, PROJ string, WKT or a file that holds WKT; null: the raster's own"
    )
    band: Annotated[int, Field(ge=1)] | None = Field(description="band to read; null: the only one")
    driver: str | None = Field(
        description="GDAL driver that reads the raster; null: those of plain files. VRT and others that point at other "
        "files or addresses have to be named: only for files you trust"
    )
    nodata: float | None = Field(description="nodata value in place of the file's own; null: the file's own")
    resampling: Literal["auto", "nearest", "bilinear", "cubic", "average"] = Field(
        description="auto: average when shrinking, cubic when enlarging"
    )
    bounds: tuple[float, float, float, float] | None = Field(
        description="degrees west, south, east, north of the part of the raster to use; null: all of it"
    )
    min_elevation: float | None = Field(
        description="m; what lies lower, such as the sea floor, is no data; null: all is"
    )
    detrend_radius: PositiveFloat | None = Field(
        le=1_000_000,
        description="m, of the local linear trend that is subtracted; null: the raster is detrended already",
    )

    @model_validator(mode="after")
    def _bounds(self):
        if self.bounds is not None:
            west, south, east, north = self.bounds
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                raise ValueError(f"bounds must be degrees west, south, east, north; they are {list(self.bounds)}")
        return self

    @model_validator(mode="after")
    def _radius(self):
        if self.detrend_radius is not None and self.detrend_radius < self.resolution:
            raise ValueError(
                f"detrend_radius ({self.detrend_radius:g} m) must be at least resolution ({self.resolution:g} m)"
            )
        return self


class Background(Section):
    when: Literal["missing", "always"] = Field(
        description="missing: estimated from the heat flow if the table has no residual; always: even if it has one"
    )
    radius: PositiveFloat = Field(le=2_000_000, description="m, of the tricube weights of the local regression")
    decluster: float = Field(
        ge=0, le=200_000, description="m; wells this near share the weight of one; 0: each has its own"
    )


class Wells(Section):
    residual: str | None = Field(description="column of the residual; null: residual or hfqc_resid")
    heat_flow: str | None = Field(description="column of the heat flow; null: usual names")
    unit: Literal["mW/m2", "W/m2", "HFU"] = Field(description="of both columns; 1 HFU is 41.84 mW/m2")
    x: str | None = Field(description="CSV column of x, easting or longitude; null: usual names")
    y: str | None = Field(description="CSV column of y, northing or latitude; null: usual names")
    crs: str | int | None = Field(description="CRS of the coordinates, as terrain.crs; null: the file's own")
    layer: str | None = Field(
        description="layer of a vector file, or file of an archive, with several; null: the only one"
    )
    quality: list[str] | None = Field(description="quality codes to keep, with wildcards such as U1*; null: all")
    quality_column: str | None = Field(description="column of the quality code; null: usual names")
    min_depth: float | None = Field(
        ge=0, description="m; shallower wells are left out where the depth is given; null: none"
    )
    depth: str | None = Field(description="column of the depth, m; null: usual names")
    colocated: Literal["keep", "median", "max"] = Field(
        description="wells of one and the same place: keep each, or one with their median or largest value"
    )
    background: Background


class Tile(Section):
    size: Count = Field(le=4096, description="pixels, edge of a tile")
    stride: Count | None = Field(description="pixels between neighbouring tiles; null: size, tiles side by side")
    statistic: Literal["max", "p90", "median", "mean"] = Field(description="of the residuals in a tile, sets its class")
    min_wells: Count = Field(description="tiles with fewer wells are left out")
    edges: Annotated[list[float], Field(min_length=1)] = Field(
        description="mW/m2, ascending; classes are right-closed: (-inf, e1], (e1, e2], ... (eK, inf)"
    )
    binary_edge: float = Field(description="mW/m2, one of edges; above it a tile is 'high'")

    @model_validator(mode="after")
    def _edges(self):
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"edges must ascend, they are {self.edges}")
        if self.binary_edge not in self.edges:
            raise ValueError(f"binary_edge ({self.binary_edge:g}) must be one of edges {self.edges}")
        return self


class Filter(Section):
    min_valid: Fraction = Field(description="smallest share of pixels with data")
    min_relief: Annotated[float, Field(ge=0)] | None = Field(
        description="m, smallest difference between highest and lowest pixel; null: no test"
    )
    max_constant: Fraction | None = Field(
        description="largest share of pixels with one and the same value of detrended elevation; null: no test. Fill "
        "in a raster that is detrended here is no longer constant: mark it with terrain.nodata"
    )


class Split(Section):
    scheme: Literal["blocks", "random"] = Field(description="contiguous spatial blocks, or tiles at random")
    folds: int = Field(ge=2, le=100, description="number of test folds")
    block_size: Count = Field(description="tiles, edge of a block")
    buffer: float = Field(
        ge=0, le=10, description="tiles; what lies nearer than this to a test tile takes no part in its fold"
    )
    validation: float = Field(ge=0.02, le=0.5, description="share of the training side kept for validation")
    repeats: int = Field(
        ge=1, le=50, description="times that all tiles are dealt anew into folds, to predict by the mean"
    )
    optimism: bool = Field(
        description="also train on tiles dealt at random, to measure how much that flatters; takes twice the time"
    )
    seed: Seed


class Normalize(Section):
    method: Literal["max", "standard", "robust", "none"] = Field(
        description="max: by the largest value (the report); standard: mean and standard deviation; "
        "robust: median and interquartile range"
    )


class Augment(Section):
    resample: bool = Field(
        description="cut training patches anew from the terrain, anywhere in the training part, with the class of the "
        "wells that they hold; false: the tiles of the grid"
    )
    flip: bool = Field(description="random horizontal and vertical flips")
    rotation: float = Field(ge=0, le=360, description="degrees; each tile turns by an angle from 0 to this")
    noise: float = Field(ge=0, le=10, description="standard deviation of added noise, normalised units; 0: off")


class Model(Section):
    channels: Annotated[list[Count], Field(min_length=1, max_length=6)] = Field(description="of each NiN block")
    batch_norm: bool = Field(description="batch normalisation after each convolution but the last")
    head_relu: bool = Field(description="ReLU after the last convolution, as in the report: scores cannot be negative")


class Train(Section):
    epochs: int = Field(ge=1, le=100_000)
    batch_size: Count = Field(description="tiles")
    lr: PositiveFloat = Field(le=10, description="learning rate (peak, where the schedule changes it)")
    optimizer: Literal["adamw", "sgd"]
    momentum: float = Field(ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(ge=0, le=1)
    schedule: Literal["constant", "one_cycle", "cosine"]
    dropout: float = Field(ge=0, lt=1, description="after each NiN block but the last")
    loss: Literal["cross_entropy", "ordinal", "two_stage"] = Field(
        description="ordinal: of passing each edge given the one before; two_stage: low or high first, then within"
    )
    class_weights: bool = Field(description="a rare class counts as much as a common one; spoils calibration")
    early_stopping: Count | None = Field(
        description="epochs without a lower validation loss that end training, at the weights of the lowest; null: off"
    )
    precision: Literal["auto", "float32", "bfloat16", "float64"] = Field(
        description="auto: bfloat16 products where the processor has them, else float32; float64: as the report trained"
    )
    compile: Literal["auto"] | bool = Field(
        description="torch.compile; auto: on a GPU, for runs long enough to pay for it"
    )
    seed: Seed
    seeds: int = Field(ge=1, le=100, description="networks of each fold, from seeds of their own, that vote together")
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", description="auto: a GPU where there is one")


class Saliency(Section):
    methods: Annotated[
        list[Literal["gradient", "guided_backprop", "integrated_gradients", "smooth_gradient", "grad_cam"]],
        Field(min_length=1),
    ]
    target: Literal["predicted", "high"] | Annotated[int, Field(ge=0)] = Field(
        description="what is explained: the score of the class predicted for each tile, the log-odds of being above "
        "tile.binary_edge (high), or the score of one class by its number, the same for every tile"
    )
    per_class: bool = Field(description="whether each raster also has a band for each class")
    draws: int = Field(
        ge=999, le=100_000, description="placements of all maps, moved and turned, that associations are held against"
    )
    smooth_shifts: int = Field(
        ge=1,
        le=12,
        description="average maps over this many shifts along each axis, each also turned by half; best a multiple of "
        "3; 1: plain maps",
    )
    batch_size: Count = Field(description="tiles at a time")


class Map(Section):
    stride: Count | None = Field(description="pixels from one window to the next; null: half a tile")
    top: int = Field(ge=1, le=1000, description="number of best places that are listed")


class Params(Section):
    data: Data
    demo: Demo
    terrain: Terrain
    wells: Wells
    tile: Tile
    filter: Filter
    split: Split
    normalize: Normalize
    augment: Augment
    model: Model
    train: Train
    saliency: Saliency
    map: Map

    @model_validator(mode="after")
    def _network_fits(self):
        least = smallest_input(len(self.model.channels))
        if self.tile.size < least:
            raise ValueError(
                f"tile.size {self.tile.size} is too small for {len(self.model.channels)} NiN blocks: at least {least}"
            )
        if isinstance(self.saliency.target, int) and self.saliency.target > len(self.tile.edges):
            raise ValueError(
                f"saliency.target: there is no class {self.saliency.target}; tile.edges make the classes 0 to "
                f"{len(self.tile.edges)}"
            )
        if self.model.head_relu and self.train.loss != "cross_entropy":
            raise ValueError(
                f"model.head_relu: scores that cannot be negative cannot say no, as train.loss {self.train.loss} needs"
            )
        return self


def smallest_input(blocks: int) -> int:
    """Smallest tile (pixels) that a Network-in-Network of so many blocks can take.

    Each block but the first keeps or grows its input; the max-pools (3/2) after every block need 3 pixels.

    >>> smallest_input(3)
    35
    """
    size = 3  # what the last pool needs
    for block in range(blocks - 1, 0, -1):
        size -= 2 if block == 1 else 0  # padding of 2 around a 3 x 3 kernel adds two pixels
        size = 2 * size + 1  # max-pool 3/2
    return 3 * (size - 1) + 5  # 5 x 5 convolution with stride 3


def load(path: str | Path, names: tuple[str, ...]) -> SimpleNamespace:
    """Check the whole of params.yaml and return the sections or single params named.

    Only what is named can be read from the result, so a stage cannot use a param that it has not declared.

    Parameters
    ----------
    path : path of params.yaml
    names : such as ``("tile", "data.elevation")``

    Raises
    ------
    InputError
        With every fault of the file: file, line, key, what is allowed, and what stands there.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; run from the top folder of the project")
    try:
        content, nodes = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold sections such as 'train:', it holds {type(content).__name__}")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        lines = _key_lines(nodes)
        faults = [_describe(path, fault, lines) for fault in error.errors(include_url=False)]
        raise InputError("\n".join(faults)) from None
    chosen = SimpleNamespace()
    for name in names:
        section, _, key = name.partition(".")
        if key:
            part = vars(chosen).setdefault(section, SimpleNamespace())
            setattr(part, key, getattr(getattr(params, section), key))
        else:
            setattr(chosen, section, getattr(params, section))
    return chosen


def _describe(path, fault, lines):
    location = fault["loc"]
    known = tuple(location[: max(n for n in range(len(location) + 1) if location[:n] in lines)])
    where = f"{path}:{lines[known]}" if known else str(path)
    # below a known key pydantic names the branch of a union that it tried, which is nothing that the file holds
    key = ".".join(map(str, location if fault["type"] == "missing" else known)) or "params"
    message = fault["msg"].removeprefix("Value error, ")
    match fault["type"]:
        case "extra_forbidden":
            return f"{where}: {key}: unknown key; remove it or correct its name"
        case "missing":
            return f"{where}: {key}: missing"
        case "value_error":
            return f"{where}: {key}: {message}"
    given = fault["input"]
    given = "not a finite number" if isinstance(given, float) and not math.isfinite(given) else SHORT.repr(given)
    return f"{where}: {key}: {message[0].lower()}{message[1:]} (it is {given})"


def _key_lines(node, prefix=()) -> dict[tuple, int]:
    """Line number of every key path of a composed YAML document, no deeper than params go."""
    lines = {prefix: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode) and len(prefix) < 3:
        for key, value in node.value:
            lines |= _key_lines(value, (*prefix, key.value)) | {(*prefix, key.value): key.start_mark.line + 1}
    return lines
