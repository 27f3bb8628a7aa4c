"""The typed form of params.yaml: every param with its default, unit, range and meaning.

A section is also what the library's functions take, so that a notebook needs no params.yaml: ``Tile(size=100)`` has the
defaults for the rest. What follows from params is in `heatflow.config.derived`.
"""

from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, model_validator

from heatflow.config.derived import DataRules, MapRules, TileRules
from heatflow.config.geometry import min_size

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
PositiveFloat = Annotated[float, Field(gt=0)]
LayerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Method = Literal["gradient", "guided_backprop", "integrated_gradients", "smooth_gradient", "grad_cam"]


class Section(BaseModel):
    """A part of params.yaml: unknown keys, infinities and NaN are refused; values cannot be changed once read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, protected_namespaces=(),
        use_attribute_docstrings=True,
    )  # fmt: skip


def is_section(kind: Any) -> TypeGuard[type[Section]]:
    """Whether the type of a field is a section of its own."""
    return isinstance(kind, type) and issubclass(kind, Section)


class Data(Section, DataRules):
    elevation: str = Field("data/demo/elevation.tif", min_length=1)
    """elevation: a path or URL of any raster GDAL can read"""
    layers: dict[LayerName, Annotated[str, Field(min_length=1)]] = {}
    """further rasters by name, such as {gravity: /path/gravity.tif}: inputs of the networks beside the terrain, and
    columns of its baselines. DVC follows their paths and not what they hold: docs/own-region.md"""
    wells: str = Field("data/demo/wells.fgb", min_length=1)
    """wells: a path of any vector file or CSV"""
    structures: str = Field("data/demo/structures.fgb", min_length=1)
    """known structural settings or geothermal systems, any vector file of points; read to test saliency alone. The
    demo's do not count where data.elevation is not the demo's"""
    faults: str = Field("data/demo/faults.fgb", min_length=1)
    """mapped faults, any vector file of lines; as data.structures"""
    lookalikes: str = Field("data/demo/lookalikes.fgb", min_length=1)
    """places that look like structures and are none, any vector file of points; as data.structures"""
    ablation: str = Field("benchmarks/ABLATION_demo.csv", min_length=1)
    """table of the source report's experiments that `make ablation` wrote, shown in the report; as data.structures"""

    @model_validator(mode="after")
    def _own_names(self) -> "Data":
        if taken := sorted({"elevation", "detrended", "trend"} & self.layers.keys()):
            raise ValueError(f"layers: {', '.join(taken)} is what elevation itself gives; choose another name")
        return self


class Demo(Section):
    seed: Seed = 1
    """everything in the synthetic region follows from it"""
    width: PositiveFloat = Field(1200, le=5000)
    """km, west to east"""
    height: PositiveFloat = Field(1000, le=5000)
    """km, south to north"""
    resolution: PositiveFloat = Field(200, ge=50, le=5000)
    """m, edge of a pixel"""
    signal: Fraction = 1.0
    """how far structure controls heat; 0: not at all, heat lies at random among the drilled places (the null region)"""
    active: Fraction = 0.9
    """share of the structures that are hot"""
    lookalike_heat: Fraction = 0.0
    """share of the look-alikes that are hot; equal to active: relief controls heat, not its arrangement"""
    sampling_bias: Fraction = 0.0
    """how far wells follow heat; 0: hot and cold places are drilled alike; 1: all hot ones, and twice as often"""
    erase: bool = False
    """whether the terrain shows neither structures nor look-alikes; wells and heat stay"""


class Terrain(Section):
    resolution: float = Field(200, ge=0.01, le=1e6)
    """m, edge of a pixel of the working grid"""
    crs: str | int | None = None
    """working CRS: EPSG code, PROJ string, WKT or a file that holds WKT; null: the raster's own"""
    band: Annotated[int, Field(ge=1)] | None = None
    """band to read; null: the only one"""
    driver: str | None = None
    """GDAL driver that reads the raster; null: those of plain files. VRT and others that point at other files or
    addresses have to be named: only for files you trust"""
    nodata: float | None = None
    """nodata value in place of the file's own; null: the file's own"""
    resampling: Literal["auto", "nearest", "bilinear", "cubic", "average"] = "auto"
    """auto: average when shrinking, cubic when enlarging"""
    bounds: tuple[float, float, float, float] | None = None
    """degrees west, south, east, north of the part of the raster to use; null: all of it"""
    min_elevation: float | None = None
    """m; what lies lower, such as the sea floor, is no data; null: all is"""
    detrend_radius: PositiveFloat | None = Field(40000, le=1_000_000)
    """m, of the local linear trend that is subtracted; null: the raster is detrended already"""

    @model_validator(mode="after")
    def _consistent(self) -> "Terrain":
        if self.bounds is not None:
            west, south, east, north = self.bounds
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                raise ValueError(f"bounds must be degrees west, south, east, north; they are {list(self.bounds)}")
        radius, edge = self.detrend_radius, self.resolution
        if radius is not None and radius < edge:
            raise ValueError(f"detrend_radius ({radius:g} m) must be at least resolution ({edge:g} m)")
        return self


class Background(Section):
    when: Literal["missing", "always"] = "missing"
    """missing: estimated from the heat flow if the table has no residual; always: even if it has one"""
    radius: PositiveFloat = Field(150000, le=2_000_000)
    """m, of the tricube weights of the local regression"""
    decluster: float = Field(5000, ge=0, le=200_000)
    """m; wells this near share the weight of one; 0: each has its own"""
    leave_block_out: bool = False
    """whether each well's background is fitted without the wells of its block of tiles (split.block_size) and of a
    buffer around it (split.buffer), so that no test tile has a part in its own residuals; takes longer"""


class Wells(Section):
    residual: str | None = None
    """column of the residual; null: residual or hfqc_resid"""
    heat_flow: str | None = None
    """column of the heat flow; null: usual names"""
    unit: Literal["mW/m2", "W/m2", "HFU"] = "mW/m2"
    """of both columns; 1 HFU is 41.84 mW/m2"""
    x: str | None = None
    """CSV column of x, easting or longitude; null: usual names"""
    y: str | None = None
    """CSV column of y, northing or latitude; null: usual names"""
    crs: str | int | None = None
    """CRS of the coordinates, as terrain.crs; null: the file's own"""
    layer: str | None = None
    """layer of a vector file, or file of an archive, with several; null: the only one"""
    quality: list[str] | None = None
    """quality codes to keep, with wildcards such as U1*; null: all"""
    quality_column: str | None = None
    """column of the quality code; null: usual names"""
    min_depth: float | None = Field(None, ge=0)
    """m; shallower wells are left out where the depth is given; null: none"""
    depth: str | None = None
    """column of the depth, m; null: usual names"""
    colocated: Literal["keep", "median", "max"] = "keep"
    """wells of one and the same place: keep each, or one with their median or largest value"""
    background: Background = Background()


class Tile(Section, TileRules):
    size: Count = Field(200, le=4096)
    """pixels, edge of a tile"""
    stride: Count | None = None
    """pixels between neighbouring tiles; null: size, tiles side by side"""
    margin: int = Field(20, ge=0, le=4096)
    """pixels of terrain around a tile that networks see too where they predict it; they learn from patches without"""
    statistic: Literal["max", "p90", "median", "mean"] = "max"
    """of the residuals in a tile, sets its class"""
    min_wells: Count = 1
    """tiles with fewer wells are left out"""
    edges: Annotated[list[float], Field(min_length=1)] = [25, 50, 200]
    """mW/m2, ascending; classes are right-closed: (-inf, e1], (e1, e2], ... (eK, inf)"""
    binary_edge: float = 50
    """mW/m2, one of edges; above it a tile is 'high'"""

    @model_validator(mode="after")
    def _edges(self) -> "Tile":
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"edges must ascend, they are {self.edges}")
        if self.binary_edge not in self.edges:
            raise ValueError(f"binary_edge ({self.binary_edge:g}) must be one of edges {self.edges}")
        return self


class Filter(Section):
    min_valid: Fraction = 0.5
    """smallest share of pixels with data"""
    min_relief: Annotated[float, Field(ge=0)] | None = 20
    """m, smallest difference between highest and lowest pixel; null: no test"""
    max_constant: Fraction | None = 0.5
    """largest share of pixels with one and the same value of detrended elevation; null: no test. Fill in a raster that
    is detrended here is no longer constant: mark it with terrain.nodata"""


class Split(Section):
    scheme: Literal["blocks", "random"] = "blocks"
    """contiguous spatial blocks, or tiles at random"""
    folds: int = Field(5, ge=2, le=100)
    """number of test folds"""
    block_size: Count = 4
    """tiles, edge of a block"""
    buffer: float = Field(1, ge=0, le=10)
    """tiles; what lies nearer than this to a test tile takes no part in its fold"""
    validation: float = Field(0, ge=0, le=0.5)
    """share of the training side, withheld from networks in whole blocks, to stop early by or to choose by"""
    repeats: int = Field(1, ge=1, le=50)
    """times that all tiles are split into folds, to predict by the mean"""
    optimism: bool = False
    """also train with folds of random tiles, to measure how much they flatter the scores; takes twice the time"""
    seed: Seed = 1
    """of the deal of blocks to folds and of bootstrap draws"""


class Normalize(Section):
    method: Literal["max", "standard", "robust", "none"] = "standard"
    """max: by the largest value (the report); standard: mean and standard deviation; robust: median and interquartile
    range"""


class Augment(Section):
    resample: bool = True
    """cut training patches from the terrain, anywhere in the training part, with the class of the wells that they hold;
    false: the tiles of the grid"""
    flip: bool = False
    """random horizontal and vertical flips; of resampled patches, mirror images. The strike of faults is lost"""
    rotation: float = Field(0, ge=0, le=360)
    """degrees; each tile turns by an angle from 0 to this"""
    noise: float = Field(0, ge=0, le=10)
    """standard deviation of added noise, normalised units; 0: off"""


class Model(Section):
    inputs: Annotated[list[Literal["detrended", "trend"]], Field(min_length=1)] = ["detrended"]
    """channels that networks are given of the elevation: what is left of it without its regional trend, and after that
    the trend, which tells where on the map a tile lies. data.layers follow"""
    layout: Literal["compact", "report"] = "compact"
    """compact: pools and normalises early in each block, and ends in a wide head; report: as the report has it"""
    channels: Annotated[list[Count], Field(min_length=1, max_length=6)] = [32, 64, 64]
    """of each NiN block, one to six"""
    batch_norm: bool = True
    """batch normalisation: compact, after the first convolution of each block and of the head; report, after each but
    the last"""
    pooling: Literal["mean", "log_mean_exp"] = "log_mean_exp"
    """of the class maps of a tile into its scores. mean: as in the report; log_mean_exp: small parts with a high score
    count for more than their area, as the largest residual does"""
    head_relu: bool = False
    """ReLU after the last convolution, as in the report: scores cannot be negative"""

    @model_validator(mode="after")
    def _terrain_first(self) -> "Model":
        if self.inputs not in (["detrended"], ["detrended", "trend"]):
            raise ValueError(f"inputs must be [detrended] or [detrended, trend], they are {self.inputs}")
        return self


class Recipe(Section):
    """How one network is trained."""

    epochs: int = Field(26, ge=1, le=100_000)
    """passes over the training tiles"""
    batch_size: Count = 20
    """tiles"""
    lr: PositiveFloat = Field(0.005, le=10)
    """learning rate (peak, where the schedule changes it)"""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """sgd: as in the report"""
    momentum: float = Field(0, ge=0, lt=1)
    """of sgd"""
    weight_decay: float = Field(0.05, ge=0, le=1)
    """pull of the weights towards 0"""
    schedule: Literal["constant", "one_cycle", "cosine"] = "one_cycle"
    """of the learning rate; constant: as in the report"""
    site_weight: float = Field(0.3, ge=0, le=100)
    """of the loss at the sites in a patch, beside that of its class; 0, or without augment.resample: networks learn
    from classes of tiles alone"""
    class_weights: bool = False
    """a rare class counts as much as a common one; spoils calibration"""
    early_stopping: Count | None = None
    """epochs without a lower validation loss that end training, at the weights of the lowest; needs split.validation;
    null: off"""


class Train(Recipe):
    dropout: float = Field(0.1, ge=0, lt=1)
    """share of values that are dropped after each NiN block in training"""
    loss: Literal["cross_entropy", "ordinal", "two_stage"] = "cross_entropy"
    """ordinal: of passing each edge given the one before; two_stage: low or high first, then within"""
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    """auto: bfloat16 products where the processor has them, else float32; float64: as in the report"""
    compile: Literal["auto"] | bool = "auto"
    """torch.compile; auto: on a GPU, for runs long enough to pay for it"""
    seed: Seed = 1
    """of first weights, order of tiles, patches and dropout"""
    seeds: int = Field(3, ge=1, le=100)
    """networks of each fold, from seeds of their own, that vote together"""
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    """auto: a GPU where there is one; else cpu, cuda, cuda:<number> or mps"""


class Saliency(Section):
    methods: Annotated[list[Method], Field(min_length=1)] = ["gradient", "guided_backprop", "grad_cam"]
    """integrated_gradients is left out because networks that differ in their seed alone mark other pixels by it,
    smooth_gradient because its maps do not settle within a reasonable number of noisy copies"""
    target: Literal["predicted", "high"] | Annotated[int, Field(ge=0)] = "high"
    """what is explained: the log-odds of being above tile.binary_edge (high), the score of the class predicted for each
    tile, or the score of one class by its number; predicted: tiles of two classes have no common sign"""
    per_class: bool = False
    """whether each raster also has a band for each class"""
    draws: int = Field(9999, ge=999, le=100_000)
    """random swaps of the maps between tiles, that associations are compared with; p-values are corrected for some 300
    tests, so that with fewer none can be significant"""
    smooth_shifts: int = Field(1, ge=1, le=12)
    """average maps over this many shifts along each axis, each also turned by half; best a multiple of 3; 1: plain
    maps"""
    shuffled: bool = False
    """whether maps are also compared with those of a network trained on shuffled labels: as long a training as that of
    a fold"""
    batch_size: Count = 20
    """tiles at a time"""


class Map(Section, MapRules):
    stride: Count | None = None
    """pixels from one window to the next; null: half a tile"""
    top: int = Field(20, ge=1, le=1000)
    """number of best places that are listed"""
    near_wells: bool = False
    """whether the probabilities of sites are also mapped with the residuals of known sites near them"""


class Params(Section):
    data: Data = Data()
    demo: Demo = Demo()
    terrain: Terrain = Terrain()
    wells: Wells = Wells()
    tile: Tile = Tile()
    filter: Filter = Filter()
    split: Split = Split()
    normalize: Normalize = Normalize()
    augment: Augment = Augment()
    model: Model = Model()
    train: Train = Train()
    saliency: Saliency = Saliency()
    map: Map = Map()

    @model_validator(mode="after")
    def _network_fits(self) -> "Params":
        size, blocks, layout = self.tile.size, len(self.model.channels), self.model.layout
        target, last = self.saliency.target, len(self.tile.edges)
        if size < (least := min_size(blocks, layout)):
            raise ValueError(f"tile.size {size} is too small for {blocks} NiN blocks: at least {least}")
        if isinstance(target, int) and target > last:
            raise ValueError(f"saliency.target: there is no class {target}; tile.edges make the classes 0 to {last}")
        if "trend" in self.model.inputs and self.terrain.detrend_radius is None:
            raise ValueError("model.inputs: there is no trend where terrain.detrend_radius is null; leave it out")
        if self.model.head_relu and self.train.loss != "cross_entropy":
            needs = f"as train.loss {self.train.loss} needs"
            raise ValueError(f"model.head_relu: scores that cannot be negative cannot say no, {needs}")
        if self.train.early_stopping is not None and not self.split.validation:
            raise ValueError("train.early_stopping: there are no tiles to stop by; set split.validation to 0.12 or so")
        return self
