"""Training one network on one fold: a plain loop."""

import copy
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional
from torch.optim import lr_scheduler

from heatflow.config.schema import Recipe
from heatflow.errors import InputError
from heatflow.learning.engine import Engine
from heatflow.learning.network import NetworkInNetwork

History = dict[str, Any]  # a row of loss and accuracy
State = dict[str, Any]
STUCK_MARGIN = 0.02  # nats: a loss no lower than ln(K) minus this has learnt nothing
DEAD_SPREAD = 1e-6  # a class whose scores differ by less than this between tiles is dead


@dataclass(frozen=True)
class Part:
    """Tiles of one role in a fold, all of them on the device.

    Parameters
    ----------
    tiles : tensor, shape (n, channels, size, size)
        From `heatflow.learning.inputs.network_inputs`.
    labels : int64 tensor, shape (n,)
    """

    tiles: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class BatchSites:
    """The sites in the tiles of a batch.

    Parameters
    ----------
    tile : int64 tensor, shape (m,)
        Row of the tile of each in the batch.
    place : float tensor, shape (m, 2)
        Row and column, pixels from the upper-left corner of the tile.
    label : int64 tensor, shape (m,)
    weight : float tensor, shape (m,)
    """

    tile: torch.Tensor
    place: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor

    def on(self, device: torch.device, dtype: torch.dtype) -> "BatchSites":
        """The same on a device, with places and weights in a dtype."""
        tile, label = self.tile.to(device), self.label.to(device)
        return BatchSites(tile, self.place.to(device, dtype), label, self.weight.to(device, dtype))


@dataclass(frozen=True)
class Batch:
    """Tiles (n, channels, size, size) with their labels (n,), and their sites where a network learns from these."""

    tiles: torch.Tensor
    labels: torch.Tensor
    sites: BatchSites | None = None


class Source(Protocol):
    """What a network learns from: as many tiles an epoch as it has `labels`, which say how common each class is;
    `site_labels` say so of sites."""

    @property
    def labels(self) -> torch.Tensor: ...

    @property
    def site_labels(self) -> torch.Tensor | None: ...

    def epoch(self, order: torch.Tensor) -> Iterator[Batch]:
        """A batch for each row of `order`, int64 (steps, batch)."""
        ...


@dataclass(frozen=True)
class TileSource:
    """The training tiles as they lie on the grid; every batch is augmented for itself."""

    part: Part
    augment: nn.Module
    site_labels: None = None

    @property
    def labels(self) -> torch.Tensor:
        return self.part.labels

    def epoch(self, order: torch.Tensor) -> Iterator[Batch]:
        for chosen in order.to(self.part.labels.device):
            yield Batch(self.augment(self.part.tiles[chosen]), self.part.labels[chosen])


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed the global generator and use deterministic algorithms; afterwards both are as before."""
    devices = range(torch.cuda.device_count())
    before = torch.get_deterministic_debug_mode()
    if compiling := "torch._inductor.config" in sys.modules:  # else its import alone takes two seconds of a process
        torch.use_deterministic_algorithms(True)
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.set_deterministic_debug_mode("error")
        try:
            yield
        finally:
            if compiling:
                torch.use_deterministic_algorithms(before == 2)
            torch.set_deterministic_debug_mode(before)


def train_network(
    network: NetworkInNetwork, source: Source, validation: Part | None, recipe: Recipe, engine: Engine,
    on_state: Callable[[State], bool | None] = lambda state: None, resume: State | None = None,
) -> list[History]:  # fmt: skip
    """Train a network in place.

    Without early stopping nothing is chosen by the validation part: it is measured after each epoch, and the weights of
    the last epoch are kept. With it, training ends once the validation loss has not fallen for so many epochs, and the
    weights of its lowest are kept.

    Parameters
    ----------
    network : NetworkInNetwork
    source : Source
        What it learns from.
    validation : Part or None
        None: early stopping is off.
    recipe : Recipe
    engine : Engine
    on_state : callable
        Takes, after each epoch, all that it takes to go on from there; returns whether to pause.
    resume : dict, optional
        What `on_state` was given: training goes on, to the same weights to the bit.

    Returns
    -------
    list of dict
        For each epoch so far its number, and loss and accuracy on both parts; NaN without a validation part.

    Raises
    ------
    InputError
        The loss is no longer finite.

    Examples
    --------
    >>> part = Part(torch.zeros(4, 1, 35, 35), torch.tensor([0, 1, 1, 1]))
    >>> network, engine = NetworkInNetwork(classes=2, channels=[4]), Engine(torch.device("cpu"))
    >>> history = train_network(network, TileSource(part, nn.Identity()), part, Recipe(epochs=2), engine)
    >>> [row["epoch"] for row in history]
    [1, 2]
    """
    run = _Run.start(network, source, recipe, engine)
    if resume:
        run.restore(resume)
    while not run.ended:
        run.epoch(source, validation)
        if on_state(run.state()):
            return run.history
    if run.best["weights"] is not None:
        network.load_state_dict(run.best["weights"])
    return run.history


@dataclass
class _Run:
    """Training of a network between two epochs; `best` has the weights of the lowest validation loss."""

    network: NetworkInNetwork
    recipe: Recipe
    engine: Engine
    optimizer: torch.optim.Optimizer
    schedule: lr_scheduler.LRScheduler
    weight: torch.Tensor | None
    history: list[History] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=lambda: {"loss": math.inf, "epoch": 0, "weights": None})

    @classmethod
    def start(cls, network: NetworkInNetwork, source: Source, recipe: Recipe, engine: Engine) -> "_Run":
        classes, of_sites = network.classes, source.site_labels
        shares = class_shares(source.labels, classes)
        weight = (1 / (classes * shares)).to(engine.device, engine.dtype) if recipe.class_weights else None
        engine.place(network)
        network.start_from(
            torch.full_like(shares, 1 / classes) if recipe.class_weights else shares,
            None if of_sites is None else class_shares(of_sites, classes),
        )
        optimizer = make_optimizer(network, recipe)
        schedule = make_schedule(optimizer, recipe, math.ceil(len(source.labels) / recipe.batch_size))
        return cls(network, recipe, engine, optimizer, schedule, weight)

    def state(self) -> State:
        """All that it takes to go on."""
        parts = {name: getattr(self, name).state_dict() for name in ("network", "optimizer", "schedule")}
        random = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
        return parts | {"history": self.history, "best": self.best, "random": random}

    def restore(self, state: State) -> None:
        """Go on from a `state`."""
        for name in ("network", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        self.history, self.best = state["history"], state["best"]
        torch.set_rng_state(state["random"][0])
        torch.cuda.set_rng_state_all(state["random"][1:])

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or the validation loss has not fallen for as long as early stopping waits."""
        epochs, patience = len(self.history), self.recipe.early_stopping
        stale = patience is not None and epochs > 0 and epochs - self.best["epoch"] >= patience
        return stale or epochs >= self.recipe.epochs

    def epoch(self, source: Source, validation: Part | None) -> None:
        """Train one epoch and measure it."""
        network, recipe, engine = self.network, self.recipe, self.engine
        number = len(self.history) + 1
        trained = train_one_epoch(network, source, recipe, engine, self.optimizer, self.schedule, self.weight)
        if not math.isfinite(trained[0]):
            raise InputError(
                f"train.lr: in epoch {number} the loss is no longer a finite number; "
                f"decrease the learning rate ({recipe.lr:g})"
            )
        loss, accuracy = (
            evaluate(network, validation, recipe.batch_size, engine) if validation else (math.nan, math.nan)
        )
        names = ("epoch", "train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
        row = dict(zip(names, (number, trained[0], loss, trained[1], accuracy), strict=True))
        self.history.append(row)
        if recipe.early_stopping is not None and loss < self.best["loss"]:
            self.best = {"loss": loss, "epoch": number, "weights": copy.deepcopy(network.state_dict())}


def class_shares(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Share of each class, (classes,), with half a case more of each: none is 0."""
    return (torch.bincount(labels.cpu(), minlength=classes) + 0.5) / (len(labels) + 0.5 * classes)


def train_one_epoch(
    network: NetworkInNetwork, source: Source, recipe: Recipe, engine: Engine, optimizer: torch.optim.Optimizer,
    schedule: lr_scheduler.LRScheduler, weight: torch.Tensor | None = None,
) -> tuple[float, float]:  # fmt: skip
    """One pass over the tiles in random order; mean loss and accuracy on tiles while learning.

    Sites add to the loss of each tile the weighted sum of their own, `recipe.site_weight` times.
    """
    network.train()
    loss_sum, right = (torch.zeros((), dtype=torch.float64, device=engine.device) for _ in range(2))
    order = batches(len(source.labels), recipe.batch_size)
    for batch in source.epoch(order):
        maps = engine.class_maps(network, batch.tiles.contiguous(memory_format=torch.channels_last))
        scores = network.tile_scores(maps)
        loss = functional.cross_entropy(scores, batch.labels, weight)
        total = loss
        if (sites := batch.sites) is not None and network.sites:
            of_sites = network.site_scores(maps, sites.tile, sites.place)
            each = functional.cross_entropy(of_sites, sites.label, reduction="none")
            total = loss + recipe.site_weight * (each * sites.weight).sum() / len(batch.labels)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()
        # summed where they are: fetching a number from a GPU would stop it at every step
        loss_sum += loss.detach()
        right += (scores.detach().argmax(dim=1) == batch.labels).sum()
    return loss_sum.item() / len(order), right.item() / order.numel()


def batches(n: int, batch_size: int) -> torch.Tensor:
    """Random order of n tiles in batches of one size, int64 (steps, batch).

    The last batch is filled up with the tiles that came first. A last batch of a tile or two would give batch
    normalisation statistics of next to nothing, and a second size would be compiled a second time.

    >>> [sorted(batch) for batch in batches(4, 9).tolist()]
    [[0, 1, 2, 3]]
    >>> batches(5, 2).shape, len(batches(5, 2).unique())
    (torch.Size([3, 2]), 5)
    """
    size = min(n, batch_size)
    order, steps = torch.randperm(n), math.ceil(n / size)
    return torch.cat([order, order[: steps * size - n]]).view(steps, size)


def evaluate(network: nn.Module, part: Part, batch_size: int, engine: Engine) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy in evaluation mode."""
    scores = predict(network, part.tiles, batch_size, engine)
    loss = functional.cross_entropy(scores, part.labels)
    return loss.item(), (scores.argmax(dim=1) == part.labels).double().mean().item()


@torch.no_grad()
def predict(network: nn.Module, tiles: torch.Tensor, batch_size: int, engine: Engine) -> torch.Tensor:
    """Class scores (n, classes) of tiles (n, channels, size, size), in evaluation mode."""
    network.eval()
    batches = (batch.contiguous(memory_format=torch.channels_last) for batch in tiles.split(batch_size))
    return torch.cat([engine.forward(network, batch) for batch in batches])


def stuck_at_chance(history: list[History], classes: int) -> bool:
    """Whether the training loss never fell clearly below ln(K), the loss of a uniform guess among K classes."""
    return min(row["train_loss"] for row in history) > math.log(classes) - STUCK_MARGIN


def dead_classes(scores: torch.Tensor) -> list[int]:
    """Classes whose score is the same for every tile: their map is clipped to 0 everywhere, or never learnt to move."""
    spread = scores.amax(dim=0) - scores.amin(dim=0)
    return torch.nonzero(spread <= DEAD_SPREAD).flatten().tolist()


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer that a recipe asks for."""
    parameters, lr, decay = network.parameters(), recipe.lr, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr, momentum=recipe.momentum, weight_decay=decay, fused=True)
    return torch.optim.AdamW(parameters, lr, weight_decay=decay, fused=True)


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> lr_scheduler.LRScheduler:
    """The schedule of the learning rate that a recipe asks for, over epochs of so many steps."""
    total = recipe.epochs * steps
    match recipe.schedule:
        case "one_cycle" if total > 1:
            rise = max(0.25, 2 / (total + 1))  # a rise of less than a step would divide by zero
            return lr_scheduler.OneCycleLR(optimizer, recipe.lr, total + 1, pct_start=rise, cycle_momentum=False)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, total)
    return lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
