"""Network-in-Network (Lin, Chen and Yan, 2014, arXiv:1312.4400) as the report uses it, with its errata put right."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from heatflow.config import geometry
from heatflow.config.geometry import Convolution

POINTWISE = Convolution(1, 1, 0)


class SpatialMean(nn.Module):
    """Average over the map, (n, k, h, w) -> (n, k), in float32 or better. Unlike adaptive pooling, deterministic on a
    GPU as well."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3), dtype=torch.promote_types(x.dtype, torch.float32))


class Dropout(nn.Dropout):
    """nn.Dropout with a mask that is cheap to draw on a CPU.

    There PyTorch draws a double for every element, one after the other, which takes an eighth of a training step; 16
    bits do. The probability is rounded to a multiple of 2^-16, and the scale goes with it.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0 or x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        dropped = round(self.p * 2**16)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(torch.int16)[: x.numel()].as_strided(x.shape, x.stride())
        return x * (drawn >= dropped - 2**15).to(x.dtype) * (2**16 / (2**16 - dropped))


def nin_block(
    inputs: int, outputs: int, first: Convolution, *, batch_norm: bool, last_relu: bool = True
) -> nn.Sequential:
    """Convolution, ReLU, 1x1 convolution, ReLU, 1x1 convolution, ReLU.

    Parameters
    ----------
    batch_norm : normalise after each convolution that a ReLU follows
    last_relu : whether the third convolution has its ReLU (and normalisation)

    Every ReLU is a module of its own and not in place: captum hooks modules, and misses anything else.
    """
    layers: list[nn.Module] = []
    for number, (channels, shape) in enumerate([(inputs, first), (outputs, POINTWISE), (outputs, POINTWISE)]):
        plain = number == 2 and not last_relu
        layers.append(nn.Conv2d(channels, outputs, *shape, bias=plain or not batch_norm))
        if not plain:
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if batch_norm else [nn.ReLU()]
    return nn.Sequential(*layers)


class Decision(nn.Module):
    """How averages of the last maps become scores. Here: a score for each class, as it comes.

    `more` averages than classes are needed.
    """

    more = 0

    def __init__(self, classes: int, first_high: int) -> None:
        super().__init__()
        self.inputs: int = classes + self.more
        self.first_high: int = first_high

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores

    def scores_for(self, shares: torch.Tensor) -> torch.Tensor:
        """Averages (inputs,) that give each class its share (classes,)."""
        return torch.log(shares)


class Ordinal(Decision):
    """Chances to pass each edge, given that the one before is passed (CORN: Shi, Cao and Raschka, 2023, Pattern Anal
    Applic 26:941), turned into log-probabilities of the classes. A wrong class costs more the further off it is."""

    more = -1

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        passed, stopped = logsigmoid(scores), logsigmoid(-scores)
        before = nn.functional.pad(passed.cumsum(dim=1), (1, 0))
        return before + nn.functional.pad(stopped, (0, 1))

    def scores_for(self, shares: torch.Tensor) -> torch.Tensor:
        beyond = shares.flip(0).cumsum(0).flip(0)
        return torch.log(beyond[1:] / shares[:-1])


class TwoStage(Decision):
    """First low or high, then the class among the low or the high ones, turned into log-probabilities: the separate
    models for low and high classes that the report asks for, on one body."""

    more = 1

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        stage, low, high = scores.split([1, self.first_high, self.inputs - 1 - self.first_high], dim=1)
        low = low.log_softmax(dim=1) + logsigmoid(-stage)
        return torch.cat([low, high.log_softmax(dim=1) + logsigmoid(stage)], dim=1)

    def scores_for(self, shares: torch.Tensor) -> torch.Tensor:
        high = shares[self.first_high :].sum()
        return torch.cat([torch.log(high / (1 - high))[None], torch.log(shares)])


DECISIONS = {"cross_entropy": Decision, "ordinal": Ordinal, "two_stage": TwoStage}


class NetworkInNetwork(nn.Module):
    """Terrain tiles (n, 1, size, size) to class scores (n, classes), whose softmax is the probability of each class.

    Blocks of three convolutions, each followed by a max-pool and dropout, with the geometry of
    `heatflow.config.geometry`; then a block of as many channels as the loss needs, and an average over the map.

    Parameters
    ----------
    classes : int
    channels : sequence of int
        Of the blocks.
    dropout : float
        Probability. It acts after the max-pool: before it, where the report puts it, the maximum over values scaled up
        by 1 / (1 - p) is larger in training than in use, three times over, and batch statistics gathered in training no
        longer fit.
    batch_norm : bool
        Batch normalisation.
    head_relu : bool
        ReLU after the last convolution, as in the report. Scores are then averages of clipped maps: a class whose map
        is clipped everywhere has score 0 and gradient 0, and never comes back.
    loss : str
        "cross_entropy", "ordinal" or "two_stage": how the averages of the last maps become scores. Whichever it is,
        cross-entropy of the scores is the loss.
    first_high : int
        Lowest class above the binary edge.

    Examples
    --------
    >>> network = NetworkInNetwork(classes=4, channels=[16, 32, 64])
    >>> network.min_size, network.stride
    (35, 24)
    >>> network(torch.zeros(2, 1, 200, 200)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, *, classes: int, channels: Sequence[int], dropout: float = 0.1, batch_norm: bool = True,
        head_relu: bool = False, loss: str = "cross_entropy", first_high: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.classes = classes
        self.settings: dict[str, Any] = {
            "classes": classes, "channels": list(channels), "dropout": dropout, "batch_norm": batch_norm,
            "head_relu": head_relu, "loss": loss, "first_high": first_high,
        }  # fmt: skip
        body: list[nn.Module] = []
        for inputs, outputs, first in zip([1, *channels], channels, geometry.convolutions(len(channels)), strict=False):
            body.append(nin_block(inputs, outputs, first, batch_norm=batch_norm))
            body += [nn.MaxPool2d(*geometry.POOL), Dropout(dropout)]
        self.body = nn.Sequential(*body)
        self.decision = DECISIONS[loss](classes, first_high)
        self.head = nin_block(
            channels[-1], self.decision.inputs, geometry.LATER, batch_norm=batch_norm, last_relu=head_relu
        )
        self.pool = SpatialMean()

    @property
    def min_size(self) -> int:
        """Edge of the smallest tile that it can take, pixels."""
        return geometry.min_size(len(self.settings["channels"]))

    @property
    def stride(self) -> int:
        """Pixels of the tile from one pixel of the class maps to the next."""
        return geometry.stride(len(self.settings["channels"]))

    @property
    def cam_layer(self) -> nn.Module:
        """The layer whose maps Grad-CAM weighs: the last block of the body, before its pool and dropout."""
        return self.body[-3]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decision(self.pool(self.head(self.body(x))))

    def start_from(self, shares: torch.Tensor) -> None:
        """Let the last bias give the class shares, so that no epoch is spent on finding them.

        Only for a head without ReLU: clipped, the negative logarithms would all be 0.
        """
        last = [m for m in self.head if isinstance(m, nn.Conv2d)][-1]
        if not self.settings["head_relu"] and last.bias is not None:
            with torch.no_grad():
                last.bias.copy_(self.decision.scores_for(shares))
