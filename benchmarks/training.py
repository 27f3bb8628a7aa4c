"""A training step of this project against a loop as the report describes it and against a plain PyTorch loop."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import v2

from benchmarks.measure import Rows, apart, matrix_product, product_rate, side_by_side, times
from heatflow.compute.memory import keep_freed_memory
from heatflow.config.schema import Model, Recipe
from heatflow.learning import training
from heatflow.learning.augment import pipeline
from heatflow.learning.engine import Engine
from heatflow.learning.network import NetworkInNetwork
from heatflow.learning.training import Part, TileSource

TILES, SIZE, BATCH = 40, 200, 20
Shape = dict[str, Any]  # layout and channels of a network
DEFAULT: Shape = {"channels": Model().channels, "layout": Model().layout}
SHAPES = {
    "report's layout and width": {"channels": [96, 256, 384], "layout": "report"},
    "report's layout, half of the width": {"channels": [48, 128, 192], "layout": "report"},
    "default": DEFAULT,
}
RECIPE = Recipe(epochs=1, batch_size=BATCH, lr=0.01, schedule="constant")


def plain_network(shape: Shape, *, batch_norm: bool) -> nn.Module:
    """The network in modules of the library alone; without batch normalisation as the report has it."""
    relu = not batch_norm
    network = NetworkInNetwork(classes=4, **shape, dropout=0.2, batch_norm=batch_norm, head_relu=relu)
    body = [nn.Dropout(m.p) if isinstance(m, nn.Dropout) else m for m in network.body]
    return nn.Sequential(*body, network.head, network.pool)


def plain_epoch(dtype: torch.dtype, shape: Shape, batch_norm: bool, optimizer: type) -> Callable[[], None]:
    """A function that trains one epoch: DataLoader, library transforms, convert, forward, backward, step."""
    data = TensorDataset(torch.randn(TILES, 1, SIZE, SIZE), torch.randint(4, (TILES,)))
    network = plain_network(shape, batch_norm=batch_norm).to(dtype)
    steps = optimizer(network.parameters(), lr=0.01)
    augment = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), v2.RandomRotation((0, 90))])

    def epoch() -> None:
        network.train()
        for tiles, labels in DataLoader(data, BATCH, shuffle=True):
            loss = functional.cross_entropy(network(augment(tiles).to(dtype)), labels)
            steps.zero_grad()
            loss.backward()
            steps.step()
            loss.item()

    return epoch


def own_epoch(engine: Engine, shape: Shape) -> Callable[[], None]:
    """A function that trains one epoch as the train stage does."""
    keep_freed_memory()
    tiles = torch.randn(TILES, 1, SIZE, SIZE).to(engine.device, engine.dtype)
    part = Part(tiles, torch.randint(4, (TILES,), device=engine.device))
    network = NetworkInNetwork(classes=4, **shape, dropout=0.2)
    engine.place(network)
    optimizer = training.make_optimizer(network, RECIPE)
    schedule = training.make_schedule(optimizer, RECIPE, 2)
    source = TileSource(part, pipeline(flip=True, rotation=90, noise=0))

    def epoch() -> None:
        with training.reproducible(0):
            training.train_one_epoch(network, source, RECIPE, engine, optimizer, schedule)

    return epoch


def gflop_per_tile(shape: Shape) -> float:
    """Forward and backward."""
    network = NetworkInNetwork(classes=4, **shape, dropout=0.0)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, SIZE, SIZE)).sum().backward()
    return counter.get_total_flops() / 1e9


def compare(rounds: int) -> Rows:
    """Rows of the table of results."""
    engine = Engine.choose("cpu")
    rows = []
    for name, shape in SHAPES.items():
        candidates = {
            "report": (plain_epoch, torch.float64, shape, False, torch.optim.SGD),
            "plain": (plain_epoch, torch.float32, shape, True, torch.optim.AdamW),
            "float32": (own_epoch, Engine(torch.device("cpu"), "float32"), shape),
            "own": (own_epoch, engine, shape), "bfloat16": (matrix_product, torch.bfloat16),
            "float32 product": (matrix_product, torch.float32),
        }  # fmt: skip
        seconds = apart(candidates, rounds)
        own, what = seconds["own"], engine.precision
        ceiling = product_rate(seconds["bfloat16" if what == "bfloat16" else "float32 product"])
        rate, width = gflop_per_tile(shape) * TILES / own, "/".join(map(str, shape["channels"]))
        rows += [
            (
                f"training step, {name} {width}, {what}",
                f"{own / TILES * 1e3:.1f} ms a tile",
            ),
            ("- times the report's loop (float64, transforms by batch, DataLoader)", times(seconds["report"], own)),
            ("- times a plain float32 loop (batch norm, AdamW, DataLoader)", times(seconds["plain"], own)),
            ("- times this project's own float32", times(seconds["float32"], own)),
            (f"- of the {what} matrix product, {ceiling:.0f} GFLOP/s in these rounds", f"{rate / ceiling:.0%}"),
        ]
    return rows


def compare_inference(rounds: int) -> Rows:
    """Batched prediction and saliency against one tile at a time."""
    from captum.attr import Saliency

    from heatflow.explanation.attribution import attribute

    engine = Engine(torch.device("cpu"), "float32")
    network = engine.place(NetworkInNetwork(classes=4, **DEFAULT, dropout=0.2)).eval()
    plain = NetworkInNetwork(classes=4, **DEFAULT, dropout=0.2).eval()
    tiles, target = torch.randn(TILES, 1, SIZE, SIZE), torch.randint(4, (TILES,))

    method = Saliency(plain)

    def one_by_one() -> None:
        for tile, k in zip(tiles, target, strict=True):
            method.attribute(tile[None].requires_grad_(), target=int(k), abs=False)

    candidates = {
        "saliency": lambda: attribute(network, tiles, target, "gradient", BATCH), "saliency one by one": one_by_one,
        "predict": lambda: training.predict(network, tiles, BATCH, engine),
        "predict one by one": torch.no_grad()(lambda: [plain(tile[None]) for tile in tiles]),
    }  # fmt: skip
    seconds = side_by_side(candidates, rounds)
    rows = []
    for what in ("saliency", "predict"):
        rows.append((f"{what}, float32, batches of {BATCH}", f"{seconds[what] / TILES * 1e3:.1f} ms a tile"))
        rows.append(("- times one tile at a time", times(seconds[what + " one by one"], seconds[what])))
    return rows
