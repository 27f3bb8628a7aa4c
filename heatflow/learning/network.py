"""Network-in-Network (Lin, Chen and Yan, 2014, arXiv:1312.4400) as the report uses it, with its errata put right."""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.functional import logsigmoid
from torch.nn.utils.fusion import fuse_conv_bn_eval

from heatflow.config import geometry
from heatflow.config.geometry import LAYOUTS, POOL, Window

POINTWISE = Window(1, 1, 0)


class SpatialMean(nn.Module):
    """Average over the map, (n, k, h, w) -> (n, k), in float32 or better. Unlike adaptive pooling, deterministic on a
    GPU as well. With the `share` (h, w) of each pixel in the tile, a weighted one."""

    def forward(self, x: torch.Tensor, share: torch.Tensor | None = None) -> torch.Tensor:
        if share is None:
            return x.mean(dim=(2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
        return (x.to(torch.promote_types(x.dtype, torch.float32)) * share).sum(dim=(2, 3))


class LogMeanExp(nn.Module):
    """Logarithm of the mean of the exponential over the map, (n, k, h, w) -> (n, k), in float32 or better. With the
    `share` (h, w) of each pixel in the tile, of a weighted mean.

    A tile has the class of its largest residual. A small part of it that is sure of a class therefore counts for more
    than its area: this is the mean for a flat map, and nears the maximum for a map with a peak (Pinheiro and Collobert,
    2015, arXiv:1411.6228, equation 6 with r = 1).

    >>> LogMeanExp()(torch.tensor([[[[0.0, 0.0, 0.0, 4.0]]]])).round(decimals=2)
    tensor([[2.6700]])
    """

    def forward(self, x: torch.Tensor, share: torch.Tensor | None = None) -> torch.Tensor:
        values = x.to(torch.promote_types(x.dtype, torch.float32)).flatten(2)
        if share is None:
            return values.logsumexp(dim=2) - math.log(values.shape[2])
        return (values + share.flatten().log()).logsumexp(dim=2)


POOLINGS: dict[str, type[nn.Module]] = {"mean": SpatialMean, "log_mean_exp": LogMeanExp}


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
    inputs: int, outputs: int, first: Window, *, batch_norm: bool, early: bool = False, pool: bool = False,
    last_relu: bool = True,
) -> nn.Sequential:  # fmt: skip
    """Convolution, ReLU, 1x1 convolution, ReLU, 1x1 convolution, ReLU.

    Parameters
    ----------
    batch_norm : normalise after each convolution that a ReLU follows
    early : normalise after the first convolution alone, and pool there
    pool : whether a max-pool belongs to the block, if it is `early`
    last_relu : whether the third convolution has its ReLU (and normalisation)

    Every ReLU is a module of its own and not in place: captum hooks modules, and misses anything else.
    """
    layers: list[nn.Module] = []
    for number, (channels, shape) in enumerate([(inputs, first), (outputs, POINTWISE), (outputs, POINTWISE)]):
        plain = number == 2 and not last_relu
        normed = batch_norm and not plain and not (early and number)
        layers.append(nn.Conv2d(channels, outputs, *shape, bias=not normed))
        layers += [nn.MaxPool2d(*POOL)] if early and pool and not number else []
        layers += [nn.BatchNorm2d(outputs)] if normed else []
        layers += [] if plain else [nn.ReLU()]
    return nn.Sequential(*layers)


class Decision(nn.Module):
    """How pooled maps become scores. Here: a score for each class, as it comes.

    `more` maps than classes are needed.
    """

    more = 0

    def __init__(self, classes: int, first_high: int) -> None:
        super().__init__()
        self.inputs: int = classes + self.more
        self.first_high: int = first_high

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores

    def scores_for(self, shares: torch.Tensor) -> torch.Tensor:
        """Pooled maps (inputs,) that give each class its share (classes,)."""
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
    """Tiles (n, inputs, size, size) to class scores (n, classes), whose softmax is the probability of each class.

    In evaluation mode tiles come with a margin of terrain on each side. The convolutions see it, so that the border of
    a tile counts nearly as much as its middle, and the maps are pooled over the tile alone. In training mode patches
    have none: they are cut off at another place in every epoch. With a margin a site would always be seen with the same
    terrain around it, and the network would come to know it by that.

    Blocks of three convolutions, most of them with a max-pool, each followed by dropout, with the geometry of
    `heatflow.config.geometry`; then a head that gives as many class maps as the loss needs, and one value for each map.

    Parameters
    ----------
    classes : int
    channels : sequence of int
        Of the blocks.
    inputs : int
        Channels of a tile: terrain, and what is beside it.
    layout : str
        "compact" or "report": see `heatflow.config.geometry.Layout`. The head of the former is one convolution as wide
        as the last block and a 1x1 convolution, that of the latter a block as wide as the class maps are many.
    sites : bool
        Whether it has class maps of sites beside those of tiles.
    size, margin : int
        Edge of a tile without its margin, and the margin, pixels. Without a margin tiles may have any size.
    dropout : float
        Probability. It acts after the max-pool: before it, where the report puts it, the maximum over values scaled up
        by 1 / (1 - p) is larger in training than in use, three times over, and batch statistics gathered in training no
        longer fit.
    batch_norm : bool
        Batch normalisation.
    pooling : str
        How the maps of tiles become one value each: "mean", as in the report, or "log_mean_exp", see `LogMeanExp`.
    head_relu : bool
        ReLU after the last convolution, as in the report. Scores are then averages of clipped maps: a class whose map
        is clipped everywhere has score 0 and gradient 0, and never comes back.
    loss : str
        "cross_entropy", "ordinal" or "two_stage": how the pooled maps become scores. Whichever it is,
        cross-entropy of the scores is the loss.
    first_high : int
        Lowest class above the binary edge.

    Examples
    --------
    >>> network = NetworkInNetwork(classes=4, channels=[16, 32, 64], sites=True)
    >>> network.min_size, network.stride
    (37, 20)
    >>> maps = network.class_maps(torch.zeros(2, 1, 200, 200))
    >>> network.tile_scores(maps).shape, network.site_scores(maps, torch.tensor([1]), torch.tensor([[9.0, 180]])).shape
    (torch.Size([2, 4]), torch.Size([1, 4]))
    """

    def __init__(
        self, *, classes: int, channels: Sequence[int], inputs: int = 1, layout: str = "compact", sites: bool = False,
        size: int = 200, margin: int = 0, dropout: float = 0.1, batch_norm: bool = True, pooling: str = "log_mean_exp",
        head_relu: bool = False, loss: str = "cross_entropy", first_high: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.classes, self.sites = classes, sites
        self.settings: dict[str, Any] = {
            "classes": classes, "channels": list(channels), "layout": layout, "sites": sites, "size": size,
            "margin": margin, "dropout": dropout, "batch_norm": batch_norm, "pooling": pooling, "head_relu": head_relu,
            "loss": loss, "first_high": first_high,
        }  # fmt: skip
        if inputs > 1:  # networks of terrain alone are written as they were before there were others
            self.settings["inputs"] = inputs
        shapes, body = LAYOUTS[layout], list[nn.Module]()
        firsts = geometry.convolutions(len(channels), layout)
        for number, (before, outputs, first) in enumerate(zip([inputs, *channels], channels, firsts, strict=False)):
            pool = number < shapes.pools
            body.append(nin_block(before, outputs, first, batch_norm=batch_norm, early=shapes.early, pool=pool))
            body += [nn.MaxPool2d(*POOL)] if pool and not shapes.early else []
            body.append(Dropout(dropout))
        self.body = nn.Sequential(*body)
        self.decision = DECISIONS[loss](classes, first_high)
        maps, last = self.decision.inputs * (1 + sites), channels[-1]
        if shapes.early:
            wide = nn.Conv2d(last, last, *geometry.HEAD, bias=not batch_norm)
            norm = [nn.BatchNorm2d(last)] if batch_norm else []
            relu = [nn.ReLU()] if head_relu else []
            self.head = nn.Sequential(wide, *norm, nn.ReLU(), nn.Conv2d(last, maps, *POINTWISE), *relu)
        else:
            self.head = nin_block(last, maps, geometry.HEAD, batch_norm=batch_norm, last_relu=head_relu)
        self.pool = POOLINGS[pooling]()

    @property
    def min_size(self) -> int:
        """Edge of the smallest tile that it can take, pixels."""
        return geometry.min_size(len(self.settings["channels"]), self.settings["layout"])

    @property
    def stride(self) -> int:
        """Pixels of the tile from one pixel of the class maps to the next."""
        return geometry.lattice(len(self.settings["channels"]), self.settings["layout"])[0]

    @property
    def first_stride(self) -> int:
        """Stride of the first convolution, pixels."""
        return LAYOUTS[self.settings["layout"]].first.stride

    @property
    def cam_layer(self) -> nn.Module:
        """The layer whose maps Grad-CAM weighs: the last block of the body, before a pool and dropout after it."""
        return [module for module in self.body if isinstance(module, nn.Sequential)][-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tile_scores(self.class_maps(x))

    def class_maps(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of tiles, and after them those of sites, (n, maps, h, w)."""
        return self.head(self.body(x))

    def tile_scores(self, maps: torch.Tensor) -> torch.Tensor:
        """Class scores of tiles, (n, classes), from their `class_maps`."""
        of_tiles = maps[:, : self.decision.inputs]
        if not self.margin:
            return self.decision(self.pool(of_tiles))
        shape = len(self.settings["channels"]), self.settings["layout"], self.margin, self.settings["size"]
        down, right = (torch.tensor(geometry.shares(cells, *shape), device=maps.device) for cells in maps.shape[2:])
        return self.decision(self.pool(of_tiles, torch.outer(down, right)))

    @property
    def margin(self) -> int:
        """Pixels of terrain around the tiles that it takes now: none in training mode."""
        return 0 if self.training else self.settings["margin"]

    def site_scores(self, maps: torch.Tensor, tile: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """Class scores of sites, (m, classes): the maps of sites at their places, bilinear.

        Parameters
        ----------
        maps : tensor, shape (n, maps, h, w)
            From `class_maps`.
        tile : int64 tensor, shape (m,)
            Row of the tile of each site in the maps.
        place : float tensor, shape (m, 2)
            Row and column of each site, pixels from the upper-left corner of its tile.
        """
        stride, centre = geometry.lattice(len(self.settings["channels"]), self.settings["layout"])
        last = torch.tensor(maps.shape[2:], device=maps.device) - 1
        at = torch.minimum(((place + self.margin - centre) / stride).clamp(min=0), last)
        first = torch.minimum(at.long(), (last - 1).clamp(min=0))
        (down, right), (row, column) = (at - first).to(maps.dtype)[:, None].unbind(-1), first.unbind(1)
        of_sites = maps[:, -self.decision.inputs :].movedim(1, 3)
        upper, lower = (
            of_sites[tile, r, column] * (1 - right) + of_sites[tile, r, torch.minimum(column + 1, last[1])] * right
            for r in (row, torch.minimum(row + 1, last[0]))
        )
        return self.decision(upper * (1 - down) + lower * down)

    def start_from(self, shares: torch.Tensor, site_shares: torch.Tensor | None = None) -> None:
        """Let the last bias give the class shares, of tiles and of sites, so that no epoch is spent on finding them.

        Only for a head without ReLU: clipped, the negative logarithms would all be 0.
        """
        last = [m for m in self.head if isinstance(m, nn.Conv2d)][-1]
        if not self.settings["head_relu"] and last.bias is not None:
            known = [shares] if site_shares is None or not self.sites else [shares, site_shares]
            with torch.no_grad():
                scores = torch.cat([self.decision.scores_for(each) for each in known])
                last.bias[: len(scores)].copy_(scores)


def fused(network: nn.Module) -> Any:
    """A copy in evaluation mode, with batch normalisation folded into the convolutions before it.

    It is the same function but for the last digits, at half the cost. Its parameters need no gradients.

    Examples
    --------
    >>> network, tile = NetworkInNetwork(classes=2, channels=[4]).eval(), torch.randn(1, 1, 60, 60)
    >>> torch.allclose(fused(network)(tile), network(tile), atol=1e-5)
    True
    """
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for module in [*copied.modules()]:
        if isinstance(module, nn.Sequential):
            for k, (first, second) in enumerate(pairwise(module)):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[k], module[k + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return copied.to(memory_format=torch.channels_last)
