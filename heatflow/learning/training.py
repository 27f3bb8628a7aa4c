"""Training one network on one fold: a plain loop."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms import v2

from heatflow.errors import InputError
from heatflow.learning.network import NetworkInNetwork

DTYPES = {"float32": torch.float32, "float64": torch.float64}
STUCK_MARGIN = 0.02  # nats: a loss no lower than ln(K) minus this has learnt nothing
DEAD_SPREAD = 1e-6  # a class whose scores differ by less than this between tiles is dead


@dataclass(frozen=True)
class Recipe:
    """How to train; the meaning of each field stands in heatflow/params.py."""

    epochs: int
    batch_size: int
    lr: float
    optimizer: str
    momentum: float
    weight_decay: float
    schedule: str
    dtype: str
    seed: int


@dataclass(frozen=True)
class Part:
    """Tiles of one role: `tiles` float32 (n, 1, size, size), normalised; `labels` int64 (n,)."""

    tiles: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(cls, tiles: np.ndarray, labels: np.ndarray, device: torch.device, dtype: str) -> "Part":
        pixels = torch.from_numpy(tiles)[:, None].to(device, DTYPES[dtype])
        return cls(pixels.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels).to(device))


def choose_device(name: str) -> torch.device:
    """The device of `train.device`; auto takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"train.device: {name!r} asked for, and this machine has no usable CUDA GPU; use auto or cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("train.device: 'mps' asked for, and this machine has none; use auto or cpu")
    return torch.device(name)


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed the global generator and insist on deterministic algorithms; both as before afterwards."""
    devices = range(torch.cuda.device_count())
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def train_network(
    network: NetworkInNetwork,
    training: Part,
    validation: Part,
    recipe: Recipe,
    augment: v2.Transform,
    on_epoch: Callable[[dict], None] = lambda row: None,
) -> list[dict]:
    """Train `network` in place and return its history, a row for each epoch.

    Nothing is chosen by the validation part here: it is measured after each epoch, and the weights of the last epoch
    are kept.
    """
    labels = training.labels
    classes = network.classes
    shares = (torch.bincount(labels, minlength=classes) + 0.5) / (len(labels) + 0.5 * classes)
    network.to(training.tiles.device, training.tiles.dtype)
    network.to(memory_format=torch.channels_last)
    network.start_from(shares.to(training.tiles))
    steps = math.ceil(len(labels) / recipe.batch_size)
    optimizer = _optimizer(network, recipe)
    schedule = _schedule(optimizer, recipe, steps)
    history = []
    for epoch in range(1, recipe.epochs + 1):
        train_loss, train_accuracy = train_one_epoch(network, training, recipe, augment, optimizer, schedule)
        loss, accuracy = evaluate(network, validation, recipe.batch_size)
        row = {
            "epoch": epoch, "train_loss": train_loss, "validation_loss": loss, "train_accuracy": train_accuracy,
            "validation_accuracy": accuracy,
        }  # fmt: skip
        history.append(row)
        on_epoch(row)
    return history


def train_one_epoch(network, part, recipe, augment, optimizer, schedule) -> tuple[float, float]:
    """One pass over the tiles in random order, augmented anew; mean loss and accuracy while learning."""
    network.train()
    loss_sum, right = 0.0, 0
    order = torch.randperm(len(part.labels)).to(part.labels.device)
    # Batches of like size: a last one of a tile or two would give batch normalisation statistics of next to nothing.
    for chosen in torch.tensor_split(order, math.ceil(len(order) / recipe.batch_size)):
        tiles, labels = part.tiles[chosen], part.labels[chosen]
        scores = network(augment(tiles).contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        loss_sum += loss.item() * len(labels)
        right += int((scores.argmax(dim=1) == labels).sum())
    return loss_sum / len(order), right / len(order)


def evaluate(network: nn.Module, part: Part, batch_size: int) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy in evaluation mode."""
    scores = predict(network, part.tiles, batch_size)
    loss = functional.cross_entropy(scores, part.labels)
    return loss.item(), (scores.argmax(dim=1) == part.labels).double().mean().item()


@torch.no_grad()
def predict(network: nn.Module, tiles: torch.Tensor, batch_size: int) -> torch.Tensor:
    """Class scores (n, classes) of tiles (n, 1, size, size), in evaluation mode."""
    network.eval()
    return torch.cat([network(batch) for batch in tiles.split(batch_size)])


def stuck_at_chance(history: list[dict], classes: int) -> bool:
    """Whether the training loss never fell clearly below ln(K), that of a uniform guess."""
    return min(row["train_loss"] for row in history) > math.log(classes) - STUCK_MARGIN


def dead_classes(scores: torch.Tensor) -> list[int]:
    """Classes whose score is the same for every tile: their map is clipped to 0 everywhere, or never learnt to move."""
    spread = scores.amax(dim=0) - scores.amin(dim=0)
    return torch.nonzero(spread <= DEAD_SPREAD).flatten().tolist()


def _optimizer(network, recipe):
    parameters = network.parameters()
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
        )
    return torch.optim.AdamW(parameters, recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def _schedule(optimizer, recipe, steps):
    total = recipe.epochs * steps
    match recipe.schedule:
        case "one_cycle" if total > 1:
            rise = max(0.25, 2 / (total + 1))  # a rise of less than a step would divide by zero
            return torch.optim.lr_scheduler.OneCycleLR(
                optimizer, recipe.lr, total_steps=total + 1, pct_start=rise, cycle_momentum=False
            )
        case "cosine":
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
