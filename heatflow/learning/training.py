"""Training one network on one fold: a plain loop."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms import v2

from heatflow.config.schema import Recipe
from heatflow.errors import InputError
from heatflow.learning.engine import Engine
from heatflow.learning.network import NetworkInNetwork

STUCK_MARGIN = 0.02  # nats: a loss no lower than ln(K) minus this has learnt nothing
DEAD_SPREAD = 1e-6  # a class whose scores differ by less than this between tiles is dead


@dataclass(frozen=True)
class Part:
    """Tiles of one role, all of them on the device: `tiles` (n, 1, size, size), normalised; `labels` int64 (n,)."""

    tiles: torch.Tensor
    labels: torch.Tensor


class Source(Protocol):
    """What a network learns from: `len` tiles an epoch, whose `labels` say how common each class is."""

    @property
    def labels(self) -> torch.Tensor: ...

    def __len__(self) -> int: ...

    def epoch(self, order: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Tiles (batch, 1, size, size) and labels (batch,) for each row of `order`, int64 (steps, batch)."""
        ...


@dataclass(frozen=True)
class TileSource:
    """The training tiles as they lie on the grid, augmented anew for every batch."""

    part: Part
    augment: v2.Transform

    @property
    def labels(self) -> torch.Tensor:
        return self.part.labels

    def __len__(self) -> int:
        return len(self.part.labels)

    def epoch(self, order: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for chosen in order.to(self.part.labels.device):
            yield self.augment(self.part.tiles[chosen]), self.part.labels[chosen]


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
    source: Source,
    validation: Part,
    recipe: Recipe,
    engine: Engine,
    on_epoch: Callable[[dict], None] = lambda row: None,
    *,
    resume: dict[str, Any] | None = None,
    on_state: Callable[[dict[str, Any]], None] = lambda state: None,
) -> list[dict]:
    """Train `network` in place and return its history, a row for each epoch.

    Without early stopping nothing is chosen by the validation part: it is measured after each epoch, and the weights of
    the last epoch are kept. With it, training ends once the validation loss has not fallen for so many epochs, and the
    weights of its lowest are kept.

    After each epoch `on_state` is given all that it takes to go on from there, to be given back as `resume`: weights,
    optimizer, schedule, random numbers and history. What then comes out is the same to the bit. `on_epoch` is told of
    the epochs before it, too.

    Raises
    ------
    InputError
        The loss is no longer finite.
    """
    classes = network.classes
    labels = source.labels.cpu()
    shares = (torch.bincount(labels, minlength=classes) + 0.5) / (len(labels) + 0.5 * classes)
    weight = (1 / (classes * shares)).to(engine.device, engine.dtype) if recipe.class_weights else None
    engine.place(network)
    network.start_from(torch.full_like(shares, 1 / classes) if recipe.class_weights else shares)
    steps = math.ceil(len(source) / recipe.batch_size)
    optimizer = make_optimizer(network, recipe)
    schedule = make_schedule(optimizer, recipe, steps)
    history: list[dict] = []
    best: dict[str, Any] = {"loss": math.inf, "epoch": 0, "weights": None}
    if resume:
        network.load_state_dict(resume["network"])
        optimizer.load_state_dict(resume["optimizer"])
        schedule.load_state_dict(resume["schedule"])
        history, best = resume["history"], resume["best"]
        set_random_state(resume["random"])
        for row in history:
            on_epoch(row)
    while len(history) < recipe.epochs and not _enough(recipe, len(history), best):
        epoch = len(history) + 1
        train_loss, train_accuracy = train_one_epoch(network, source, recipe, engine, optimizer, schedule, weight)
        if not math.isfinite(train_loss):
            raise InputError(
                f"train.lr: in epoch {epoch} the loss is no longer a finite number; "
                f"decrease the learning rate ({recipe.lr:g})"
            )
        loss, accuracy = evaluate(network, validation, recipe.batch_size, engine)
        row = {
            "epoch": epoch, "train_loss": train_loss, "validation_loss": loss, "train_accuracy": train_accuracy,
            "validation_accuracy": accuracy,
        }  # fmt: skip
        history.append(row)
        if recipe.early_stopping is not None and loss < best["loss"]:
            best = {"loss": loss, "epoch": epoch, "weights": copy.deepcopy(network.state_dict())}
        on_state(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "history": history,
                "best": best,
                "random": random_state(),
            }
        )
        on_epoch(row)
    if best["weights"] is not None:
        network.load_state_dict(best["weights"])
    return history


def _enough(recipe, epochs, best):
    """Whether the validation loss has not fallen for as long as early stopping waits."""
    return recipe.early_stopping is not None and epochs > 0 and epochs - best["epoch"] >= recipe.early_stopping


def random_state() -> list[torch.Tensor]:
    """State of the generators of the CPU and of each GPU."""
    return [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]


def set_random_state(state: list[torch.Tensor]) -> None:
    """Set the generators as `random_state` found them."""
    torch.set_rng_state(state[0])
    torch.cuda.set_rng_state_all(state[1:])


def train_one_epoch(network, source, recipe, engine, optimizer, schedule, weight=None) -> tuple[float, float]:
    """One pass over the tiles in random order, augmented anew; mean loss and accuracy while learning."""
    network.train()
    loss_sum, right = (torch.zeros((), dtype=torch.float64, device=engine.device) for _ in range(2))
    order = batches(len(source), recipe.batch_size)
    for tiles, labels in source.epoch(order):
        scores = engine.forward(network, tiles.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(scores, labels, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        # summed where they are: fetching a number from a GPU would stop it at every step
        loss_sum += loss.detach()
        right += (scores.detach().argmax(dim=1) == labels).sum()
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
    """Class scores (n, classes) of tiles (n, 1, size, size), in evaluation mode."""
    network.eval()
    batches = (batch.contiguous(memory_format=torch.channels_last) for batch in tiles.split(batch_size))
    return torch.cat([engine.forward(network, batch) for batch in batches])


def stuck_at_chance(history: list[dict], classes: int) -> bool:
    """Whether the training loss never fell clearly below ln(K), that of a uniform guess."""
    return min(row["train_loss"] for row in history) > math.log(classes) - STUCK_MARGIN


def dead_classes(scores: torch.Tensor) -> list[int]:
    """Classes whose score is the same for every tile: their map is clipped to 0 everywhere, or never learnt to move."""
    spread = scores.amax(dim=0) - scores.amin(dim=0)
    return torch.nonzero(spread <= DEAD_SPREAD).flatten().tolist()


def make_optimizer(network, recipe):
    parameters = network.parameters()
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
        )
    return torch.optim.AdamW(parameters, recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def make_schedule(optimizer, recipe, steps):
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
