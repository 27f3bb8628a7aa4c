"""Attribution: which pixels of a tile change the score of a class.

Gradient: Simonyan, Vedaldi and Zisserman (2014), arXiv:1312.6034. Guided backpropagation: Springenberg et al. (2015),
arXiv:1412.6806, a gradient that drops negative values at each ReLU on its way back. Integrated gradients: Sundararajan,
Taly and Yan (2017), arXiv:1703.01365, from flat terrain. SmoothGrad: Smilkov et al. (2017), arXiv:1706.03825. Grad-CAM:
Selvaraju et al. (2017), arXiv:1610.02391, here signed.
"""

import copy
import warnings
from typing import Any

import numpy as np
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, LayerGradCam, Saliency
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from heatflow.errors import InputError
from heatflow.learning.network import NetworkInNetwork, fused

TITLES = {
    "gradient": "gradient", "guided_backprop": "guided backpropagation", "integrated_gradients": "integrated gradients",
    "smooth_gradient": "SmoothGrad", "grad_cam": "Grad-CAM",
}  # fmt: skip
PER_ELEVATION = ("gradient", "guided_backprop", "smooth_gradient")  # change of score per unit of the input
OF_ALL_INPUTS = ("grad_cam",)  # maps of what a network makes of all its inputs; the others have one of each
STEPS = 8  # of the path of integrated gradients; midpoints, since a network of ReLUs has kinks on the way
COPIES = 4  # noisy copies of a tile that SmoothGrad averages over
NOISE = 0.1  # their noise, as a share of the range of the tile


class HighLogOdds(nn.Module):
    """Log-odds of the high classes, (n, 1), from the class scores of a network.

    Parameters
    ----------
    network : NetworkInNetwork
    first_high : int
        Lowest class above the binary edge.
    """

    def __init__(self, network: NetworkInNetwork, first_high: int) -> None:
        super().__init__()
        self.network, self.first_high = network, first_high

    @property
    def cam_layer(self) -> nn.Module:
        """See NetworkInNetwork."""
        return self.network.cam_layer

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        scores = self.network(tiles)
        high, low = scores[:, self.first_high :], scores[:, : self.first_high]
        return (high.logsumexp(dim=1) - low.logsumexp(dim=1))[:, None]


def attribute(
    network: nn.Module, tiles: torch.Tensor, target: torch.Tensor, method: str, batch_size: int = 20, networks: int = 1,
    channel: int = 0,
) -> np.ndarray:  # fmt: skip
    """Signed saliency of one class for each tile.

    Parameters
    ----------
    network : Module
        A copy of it in evaluation mode is explained; the network itself stays as it is. Grad-CAM weighs the maps of its
        ``cam_layer``.
    tiles : float tensor, shape (n, channels, size, size)
        Normalised elevation.
    target : int64 tensor, shape (n,)
        The class whose score is explained, for each tile.
    method : str
        One of TITLES.
    batch_size : int, optional
        Tiles at a time.
    networks : int, optional
        Number of networks over which maps are averaged: noisy copies are divided among them.
    channel : int, optional
        Of the tiles, that the map is of; the first is elevation. Methods in OF_ALL_INPUTS have the first alone.

    Returns
    -------
    float32 array, shape (n, size, size)
        Change of the class score per unit of normalised elevation (for guided backpropagation: the part that passes the
        ReLUs); for integrated gradients the pixel's part in the score's difference from that of flat terrain; for
        Grad-CAM the weighted mean of the maps.

    Raises
    ------
    InputError
        Guided backpropagation of a network that calls ReLU as a function: no hook reaches it, and the result would be
        the plain gradient.

    Examples
    --------
    >>> score = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = score[1].weight.data.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 1.0]]))
    >>> attribute(score, torch.ones(1, 1, 2, 2), torch.tensor([0]), "gradient")
    array([[[1., 2.],
            [3., 4.]]], dtype=float32)
    """
    maps = []
    copied = _copy(network)
    with warnings.catch_warnings():
        # captum says that it sets requires_grad on its input, and hooks on ReLUs: both are intended
        warnings.filterwarnings("ignore", message="Input Tensor .* did not already require gradients")
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")
        if method == "guided_backprop":
            _refuse_functional_relu(copied, tiles[:1])
        for batch, classes in zip(tiles.split(batch_size), target.split(batch_size), strict=True):
            batch = batch.detach().clone(memory_format=torch.channels_last)
            maps.append(METHODS[method](copied, batch, classes, networks)[:, channel].detach().cpu().float().numpy())
    return np.concatenate(maps)


def importance(method: str, maps: np.ndarray) -> np.ndarray:
    """What the pixels of a map are ranked by.

    A part in a score counts with its sign, for or against the class; a change per elevation counts with its size.
    """
    return np.abs(maps) if method in PER_ELEVATION else maps


def _gradient(network: Any, tiles: torch.Tensor, target: torch.Tensor, networks: int = 1) -> torch.Tensor:
    return Saliency(network).attribute(tiles, target=target, abs=False)


def _guided_backprop(network: Any, tiles: torch.Tensor, target: torch.Tensor, networks: int) -> torch.Tensor:
    return GuidedBackprop(network).attribute(tiles, target=target)


def _integrated_gradients(network: Any, tiles: torch.Tensor, target: torch.Tensor, networks: int) -> torch.Tensor:
    flat = tiles.mean(dim=(2, 3), keepdim=True).expand_as(tiles)
    return IntegratedGradients(network).attribute(
        tiles, flat, target=target, n_steps=STEPS, method="riemann_middle", internal_batch_size=len(tiles)
    )


def _smooth_gradient(network: Any, tiles: torch.Tensor, target: torch.Tensor, networks: int) -> torch.Tensor:
    # not captum's NoiseTunnel: it has one strength of noise for all tiles, here each has its own
    noise = NOISE * (tiles.amax(dim=(2, 3), keepdim=True) - tiles.amin(dim=(2, 3), keepdim=True))
    noisy = (tiles + noise * torch.randn_like(tiles) for _ in range(-(-COPIES // networks)))
    return torch.stack([_gradient(network, t, target) for t in noisy]).mean(dim=0)


def _grad_cam(network: Any, tiles: torch.Tensor, target: torch.Tensor, networks: int) -> torch.Tensor:
    coarse = LayerGradCam(network, network.cam_layer).attribute(tiles, target=target)
    return functional.interpolate(coarse, tiles.shape[-2:], mode="bilinear", align_corners=False)


METHODS = {
    "gradient": _gradient, "guided_backprop": _guided_backprop, "integrated_gradients": _integrated_gradients,
    "smooth_gradient": _smooth_gradient, "grad_cam": _grad_cam,
}  # fmt: skip


def _copy(network: nn.Module) -> nn.Module:
    """A `fused` copy, whose hooks and flags may change at will."""
    copied = fused(network)
    for module in copied.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # a hook cannot see what is overwritten
    return copied


class _CountRelu(TorchFunctionMode):
    """Counts the calls of ReLU."""

    RELUS = (functional.relu, functional.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_)
    calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += func in self.RELUS
        return func(*args, **(kwargs or {}))


def _refuse_functional_relu(network: nn.Module, tile: torch.Tensor) -> None:
    bare = copy.deepcopy(network)
    for name, module in [*bare.named_modules(remove_duplicate=False)]:
        if isinstance(module, nn.ReLU):
            bare.set_submodule(name, nn.Identity())
    with torch.no_grad(), _CountRelu() as relu:
        bare(tile)
    if relu.calls:
        raise InputError(
            f"guided_backprop: {relu.calls} ReLUs of the network are functions (torch.relu), which it cannot guide: "
            "the plain gradient would come out under its name; make them nn.ReLU modules"
        )
