"""What follows from params, each rule in one place: the typed sections of `heatflow.config.schema` inherit it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

DEMO = Path("data/demo")  # what the demo stage writes
DEMO_FILES = (DEMO, Path("benchmarks/ABLATION_demo.csv"))


class DataRules:
    """Which of the files that `data` names say something of this region."""

    elevation: str
    structures: str
    faults: str
    lookalikes: str
    ablation: str

    @property
    def is_demo(self) -> bool:
        """Whether the region is the synthetic one."""
        return Path(self.elevation).is_relative_to(DEMO)

    def applies(self, path: str) -> bool:
        """Whether a file says something of this region: the demo's files do so of the demo alone."""
        return self.is_demo or not any(Path(path).is_relative_to(own) for own in DEMO_FILES)

    @property
    def features(self) -> dict[str, str]:
        """Paths of the known features of this region, by name."""
        given = {"structures": self.structures, "faults": self.faults, "lookalikes": self.lookalikes}
        return {name: path for name, path in given.items() if self.applies(path)}


class TileRules:
    """Step and classes of tiles."""

    size: int
    stride: int | None
    margin: int
    edges: Sequence[float]
    binary_edge: float

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.stride or self.size

    @property
    def edge(self) -> int:
        """Pixels along the edge of a tile with its margin."""
        return self.size + 2 * self.margin

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.edges) + 1

    @property
    def first_high(self) -> int:
        """Lowest class above the binary edge."""
        return list(self.edges).index(self.binary_edge) + 1

    @property
    def class_columns(self) -> list[str]:
        """Columns of class probabilities: ``p0``, ``p1`` and so on."""
        return [f"p{k}" for k in range(self.n_classes)]

    @property
    def class_ranges(self) -> list[str]:
        """Residuals of each class, mW/m2, such as ``25-50``."""
        text = [f"{edge:g}" for edge in self.edges]
        return [f"<={text[0]}", *(f"{low}-{high}" for low, high in pairwise(text)), f">{text[-1]}"]

    @property
    def class_names(self) -> list[str]:
        """Label text that sorts, such as ``1: 25-50``."""
        return [f"{k}: {text}" for k, text in enumerate(self.class_ranges)]

    def explained(self, target: str | int) -> str:
        """What a saliency map explains, in words, for a value of `saliency.target`."""
        if isinstance(target, int):
            return f"class {target}, {self.class_ranges[target]} mW/m2"
        return "the class predicted" if target == "predicted" else f"the log-odds of above {self.binary_edge:g} mW/m2"


class MapRules:
    """Step of the prediction map."""

    stride: int | None

    def step(self, size: int) -> int:
        """Pixels from one window of `size` pixels to the next."""
        return self.stride or size // 2
