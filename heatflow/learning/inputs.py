"""What a network is fed: terrain in metres, scaled, with nodata filled."""

import numpy as np
import torch


def normalise(tiles: torch.Tensor, scaling: dict[str, float]) -> torch.Tensor:
    """Scale tiles, and fill nodata with the mean of its own tile.

    The mean of the tile rather than a constant: the edge of missing data is then no cliff. Rather than a mean over
    tiles: nothing of one tile then reaches another.

    Parameters
    ----------
    tiles : float32 tensor, shape (n, 1, size, size)
        Elevation, metres, NaN where there is no data.
    scaling : dict
        ``offset`` and ``scale``, metres, from `heatflow.learning.scaling.fit_scaling`.

    Returns
    -------
    float32 tensor, shape (n, 1, size, size)
        A tile without any data is 0.

    Examples
    --------
    >>> normalise(torch.tensor([[[[1.0, 3.0], [torch.nan, 5.0]]]]), {"offset": 1.0, "scale": 2.0})
    tensor([[[[0., 1.],
              [1., 2.]]]])
    """
    scaled = (tiles - scaling["offset"]).div_(scaling["scale"])
    if scaled.sum().isfinite():  # nothing is missing, as in most; a sum is the quickest way to tell
        return scaled
    # A tile alone would be summed by several threads, to last digits that depend on their number.
    summed = scaled if len(scaled) > 1 else scaled.expand(2, -1, -1, -1)
    mean = summed.nanmean(dim=(2, 3), keepdim=True).nan_to_num()[: len(scaled)]
    return torch.where(scaled.isnan(), mean, scaled)


def network_inputs(
    elevation: np.ndarray, scaling: dict[str, float], device: torch.device | str = "cpu"
) -> torch.Tensor:
    """Tiles of terrain as a network takes them.

    Parameters
    ----------
    elevation : float array, shape (n, size, size)
        Metres, NaN where there is no data.
    scaling : dict
        As for `normalise`.
    device : torch.device or str
        Where the network is.

    Returns
    -------
    float32 tensor, shape (n, 1, size, size)
    """
    return normalise(torch.from_numpy(elevation)[:, None].to(device, torch.float32), scaling)
