"""Saliency: which pixels of a tile move the score of its class, and the maps put back on the ground.

Gradient: Simonyan, Vedaldi and Zisserman (2014), arXiv:1312.6034. Guided backpropagation: Springenberg et al. (2015),
arXiv:1412.6806, a gradient that drops what is negative at each ReLU on its way back. Integrated gradients:
Sundararajan, Taly and Yan (2017), arXiv:1703.01365, from flat terrain. SmoothGrad: Smilkov et al. (2017),
arXiv:1706.03825. Grad-CAM: Selvaraju et al. (2017), arXiv:1610.02391, here signed.
"""

import copy
import warnings
from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, LayerGradCam, Saliency
from scipy import fft
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode

from heatflow.errors import InputError
from heatflow.grid.grids import TileGrid

TITLES = {
    "gradient": "gradient",
    "guided_backprop": "guided backpropagation",
    "integrated_gradients": "integrated gradients",
    "smooth_gradient": "SmoothGrad",
    "grad_cam": "Grad-CAM",
}
PER_ELEVATION = ("gradient", "guided_backprop", "smooth_gradient")  # change of score per unit of the input
STEPS = 12  # of the path that integrated gradients follow, Gauss-Legendre
NOISY = 8  # copies of a tile that SmoothGrad averages over
NOISE = 0.1  # their noise, as a share of the range of the tile
STEM = 3  # pixels: stride of the first layer
LATTICE = 12  # pixels: stride 3 and two max-pools of stride 2


class Evidence(nn.Module):
    """The log-odds of being high, (n, 1), from the class scores of a network: what speaks for heat, whatever the class.

    `first_high` is the lowest class above the binary edge.
    """

    def __init__(self, network: nn.Module, first_high: int):
        super().__init__()
        self.network, self.first_high = network, first_high

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        scores = self.network(tiles)
        high, low = scores[:, self.first_high :], scores[:, : self.first_high]
        return (high.logsumexp(dim=1) - low.logsumexp(dim=1))[:, None]


def attribute(
    network: nn.Module,
    tiles: torch.Tensor,
    target: torch.Tensor,
    method: str,
    batch_size: int,
    layer: nn.Module | None = None,
) -> np.ndarray:
    """Signed saliency of one class for each tile.

    Parameters
    ----------
    network : left as it is, whatever happens: a copy of it is explained, in evaluation mode
    tiles : float tensor, shape (n, 1, size, size), normalised
    target : int64 tensor, shape (n,)
        The class whose score is explained, for each tile.
    method : one of TITLES
    layer : whose maps Grad-CAM weighs; None: the last block of a NetworkInNetwork's body

    Returns
    -------
    float32 array, shape (n, size, size)
        Change of the class score per unit of normalised elevation (for guided backpropagation: what is left of it); for
        integrated gradients the pixel's part in the score's difference from that of flat terrain; for Grad-CAM the
        weighed mean of the maps.

    Raises
    ------
    InputError
        Guided backpropagation of a network that calls ReLU as a function: it cannot be guided there, and what comes out
        would be the plain gradient.
    """
    maps = []
    copied = _copy(network)
    if layer is not None:
        layer = copied.get_submodule(next(name for name, module in network.named_modules() if module is layer))
    with warnings.catch_warnings():
        # captum says that it sets requires_grad on its input, and hooks on ReLUs: both are what is asked for
        warnings.filterwarnings("ignore", message="Input Tensor .* did not already require gradients")
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")
        explain = _explainer(copied, method, layer)
        if method == "guided_backprop":
            _refuse_functional_relu(copied, tiles[:1])
        for batch, classes in zip(tiles.split(batch_size), target.split(batch_size), strict=True):
            batch = batch.detach().clone(memory_format=torch.channels_last)
            maps.append(explain(batch, classes)[:, 0].detach().cpu().float().numpy())
    return np.concatenate(maps)


def _explainer(network, method, layer):
    """A function of tiles and classes that gives maps (n, 1, size, size)."""
    if method == "gradient":
        plain = Saliency(network)
        return lambda tiles, target: plain.attribute(tiles, target=target, abs=False)
    if method == "guided_backprop":
        for module in network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # a hook cannot see what is overwritten
        return lambda tiles, target: GuidedBackprop(network).attribute(tiles, target=target)
    if method == "integrated_gradients":
        path = IntegratedGradients(network)

        def integrate(tiles, target):
            flat = tiles.mean(dim=(2, 3), keepdim=True).expand_as(tiles)
            return path.attribute(tiles, flat, target=target, n_steps=STEPS, internal_batch_size=len(tiles))

        return integrate
    if method == "smooth_gradient":
        plain = Saliency(network)

        def smooth(tiles, target):  # by hand: captum's has one strength of noise for all tiles, here each has its own
            noise = NOISE * (tiles.amax(dim=(2, 3), keepdim=True) - tiles.amin(dim=(2, 3), keepdim=True))
            noisy = (tiles + noise * torch.randn_like(tiles) for _ in range(NOISY))
            return torch.stack([plain.attribute(t, target=target, abs=False) for t in noisy]).mean(dim=0)

        return smooth
    cam = LayerGradCam(network, layer if layer is not None else network.body[-3])

    def weigh(tiles, target):
        coarse = cam.attribute(tiles, target=target)
        return functional.interpolate(coarse, tiles.shape[-2:], mode="bilinear", align_corners=False)

    return weigh


def _copy(network):
    """A copy in evaluation mode, with batch normalisation folded into the convolutions before it: the same function at
    half the cost, and hooks and flags that may be changed at will. Its parameters need no gradients."""
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for sequence in [m for m in copied.modules() if isinstance(m, nn.Sequential)]:
        for k, (first, second) in enumerate(pairwise(sequence)):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                sequence[k], sequence[k + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return copied.to(memory_format=torch.channels_last)


class _CountRelu(TorchFunctionMode):
    """Counts the calls of ReLU, those of modules among them."""

    CALLS = (functional.relu, functional.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_)

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += func in self.CALLS
        return func(*args, **(kwargs or {}))


def _refuse_functional_relu(network, tile):
    by_module = 0

    def count(*_):
        nonlocal by_module
        by_module += 1

    handles = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.ReLU)]
    try:
        with torch.no_grad(), _CountRelu() as found:
            network(tile)
    finally:
        for handle in handles:
            handle.remove()
    if found.calls > by_module:
        raise InputError(
            f"guided_backprop: {found.calls - by_module} ReLUs of the network are functions (torch.relu), which it "
            "cannot guide: the plain gradient would come out under its name; make them nn.ReLU modules"
        )


def over_shifts(
    explain: Callable[[torch.Tensor], np.ndarray], tiles: torch.Tensor, shifts: int, period: int = LATTICE
) -> np.ndarray:
    """Mean of the maps of a tile at `shifts` x `shifts` shifts over the lattice, each as it is and flipped both ways.

    Every map is put back where it belongs before the mean is taken.

    Strided layers see every third pixel first, every twelfth after pooling, and their saliency shows that lattice.
    Steps are spread over the twelve, and moved by a pixel where they would all fall on one of the three.

    Parameters
    ----------
    explain : maps (n, size, size) of tiles (n, 1, size, size)
    shifts : along each axis; 1: the plain map

    Returns
    -------
    float32 array, shape (n, size, size)
    """
    if shifts == 1:
        return explain(tiles)
    even = np.round((np.arange(shifts) / shifts - 0.5) * period).astype(int)
    steps = np.unique(even + (np.arange(shifts) - even + 1) % STEM - 1).tolist()
    reach, size = max(map(abs, steps)), tiles.shape[-1]
    padded = functional.pad(tiles, (reach,) * 4, mode="reflect")
    total = np.zeros((len(tiles), size, size))
    count = np.zeros((size, size))
    for down, right, flip in product(steps, steps, (False, True)):
        moved = padded[:, :, reach + down : reach + down + size, reach + right : reach + right + size]
        found = explain(moved.flip(2, 3))[:, ::-1, ::-1] if flip else explain(moved)
        own = slice(max(0, down), size + min(0, down)), slice(max(0, right), size + min(0, right))
        its = slice(max(0, -down), size + min(0, -down)), slice(max(0, -right), size + min(0, -right))
        total[:, *own] += found[:, *its]
        count[own] += 1
    return (total / count).astype(np.float32)


def lattice_share(maps: np.ndarray, period: int = LATTICE) -> float:
    """Share of the spectral energy of |saliency| at the frequencies of a lattice; lower is better.

    Of white noise it is (period / size)^2, the lattice's share of all frequencies: 0.4 % for 12 of 192 pixels.

    Parameters
    ----------
    maps : float array, shape (n, size, size); without any, or smaller than the lattice, the share is NaN
    """
    size = maps.shape[-1] // period * period
    if not size or not len(maps):
        return float("nan")
    strength = np.abs(np.nan_to_num(maps[:, :size, :size].astype(np.float32)))
    power = np.abs(fft.fft2(strength - strength.mean(axis=(1, 2), keepdims=True), workers=-1)) ** 2
    power /= np.maximum(power.sum(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    step = size // period
    at = power[:, ::step, ::step].copy()
    at[:, 0, 0] = 0
    return float(at.sum(axis=(1, 2)).mean())


def surest_examples(label: np.ndarray, probability: np.ndarray) -> list[int | None]:
    """For each class the correct and then the incorrect tile that the network is surest of, None where there is none.

    Parameters
    ----------
    label : int array, shape (n,)
    probability : float array, shape (n, classes)

    Examples
    --------
    >>> surest_examples(np.array([0, 0, 1]), np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]]))
    [1, None, None, 2]
    """
    predicted, sureness = probability.argmax(axis=1), probability.max(axis=1)
    examples: list[int | None] = []
    for k in range(probability.shape[1]):
        for correct in (True, False):
            here = np.flatnonzero((label == k) & ((predicted == k) == correct))
            examples.append(int(here[sureness[here].argmax()]) if here.size else None)
    return examples


def mosaic(maps: np.ndarray, table, tiles: TileGrid, first: int, last: int) -> np.ndarray:
    """Rows `first` to `last` of the terrain's grid with the maps in their places; NaN where there is no tile.

    Where tiles overlap, the mean of their maps.

    Parameters
    ----------
    maps : float32 array, shape (n, size, size)
    table : ``row`` and ``col`` of each tile on the tile grid

    Returns
    -------
    float32 array, shape (last - first, grid.width)
    """
    total = np.zeros((last - first, tiles.grid.width))
    count = np.zeros(total.shape, dtype=np.int32)
    tops = table["row"].to_numpy() * tiles.stride
    lefts = table["col"].to_numpy() * tiles.stride
    for k in np.flatnonzero((tops < last) & (tops + tiles.size > first)):
        top, left = int(tops[k]), int(lefts[k])
        r0, r1 = max(first, top), min(last, top + tiles.size)
        part = maps[k, r0 - top : r1 - top]
        there = np.isfinite(part)
        place = slice(r0 - first, r1 - first), slice(left, left + tiles.size)
        total[place] += np.where(there, part, 0)
        count[place] += there
    with np.errstate(invalid="ignore"):
        return (total / np.where(count, count, np.nan)).astype(np.float32)
