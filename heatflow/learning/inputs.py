"""What a network is fed: terrain in metres and the channels beside it, each scaled, with nodata filled."""

import numpy as np
import torch

from heatflow.learning.scaling import Scaling, numbers


def normalise(tiles: torch.Tensor, scaling: Scaling) -> torch.Tensor:
    """Scale each channel of tiles, and fill nodata with the mean of its own tile and channel.

    The mean of the tile rather than a constant: the edge of missing data is then no cliff. Rather than a mean over
    tiles: nothing of one tile then reaches another.

    Parameters
    ----------
    tiles : float32 tensor, shape (n, channels, size, size)
        The first channel is terrain, metres; NaN where there is no data.
    scaling : dict
        ``offset`` and ``scale`` of the channels, from `heatflow.learning.scaling.fit_scaling`.

    Returns
    -------
    float32 tensor, shape (n, channels, size, size)
        A channel of a tile without any data is 0.

    Examples
    --------
    >>> normalise(torch.tensor([[[[1.0, 3.0], [torch.nan, 5.0]]]]), {"offset": 1.0, "scale": 2.0})
    tensor([[[[0., 1.],
              [1., 2.]]]])
    """
    scaled = torch.empty_like(tiles)
    of_channels = scaled.unbind(1), tiles.unbind(1), numbers(scaling, "offset"), numbers(scaling, "scale")
    for channel, raw, offset, scale in zip(*of_channels, strict=True):
        torch.sub(raw, offset, out=channel).div_(scale)
    complete = scaled.sum(dim=(2, 3)).isfinite()  # a sum is the quickest way to tell
    for tile, channel in complete.logical_not().nonzero().tolist():
        values = scaled[tile, channel]
        # One image alone would be summed by several threads, to last digits that depend on their number.
        mean = values.expand(2, -1, -1).nanmean(dim=(1, 2))[0].nan_to_num()
        values.copy_(torch.where(values.isnan(), mean, values))
    return scaled


def network_inputs(tiles: np.ndarray, scaling: Scaling, device: torch.device | str = "cpu") -> torch.Tensor:
    """Tiles as a network takes them.

    Parameters
    ----------
    tiles : float array, shape (n, channels, size, size)
        Terrain in metres and the channels beside it, NaN where there is no data.
    scaling : dict
        As for `normalise`.
    device : torch.device or str
        Where the network is.

    Returns
    -------
    float32 tensor, shape (n, channels, size, size)
    """
    return normalise(torch.from_numpy(tiles).to(device, torch.float32), scaling)
