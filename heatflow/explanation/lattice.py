"""The lattice that the strides of a network leave in its saliency: how strong it is, and averages that remove it."""

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from scipy import fft
from torch.nn import functional

CHUNK = 64  # tiles at a time, whose spectra are computed


def over_shifts(
    explain: Callable[[torch.Tensor], np.ndarray], tiles: torch.Tensor, shifts: int, period: int, first: int
) -> np.ndarray:
    """Mean of the maps of a tile at `shifts` x `shifts` shifts over the lattice, each as it is and turned by half.

    Every map is put back in its place before the mean is taken. The steps are spread over the period of the lattice.
    The first convolution has a lattice of its own, of every third pixel or so: steps are moved by some pixels where
    they would all fall on one of these.

    Parameters
    ----------
    explain : callable
        Maps (n, size, size) of tiles (n, channels, size, size).
    tiles : float tensor, shape (n, channels, size, size)
    shifts : int
        Along each axis; 1 is the plain map.
    period : int
        Of the lattice, pixels: the ``stride`` of the network.
    first : int
        Of that of its first convolution.

    Returns
    -------
    float32 array, shape (n, size, size)
    """
    if shifts == 1:
        return explain(tiles)
    even = np.round((np.arange(shifts) / shifts - 0.5) * period).astype(int)
    steps = np.unique(even + (np.arange(shifts) - even + first // 2) % first - first // 2).tolist()
    reach, size = max(map(abs, steps)), tiles.shape[-1]
    padded = functional.pad(tiles, (reach,) * 4, mode="reflect")
    total = np.zeros((len(tiles), size, size))
    count = np.zeros((size, size))
    for down, right, flip in product(steps, steps, (False, True)):
        moved = padded[:, :, reach + down : reach + down + size, reach + right : reach + right + size]
        maps = explain(moved.flip(2, 3))[:, ::-1, ::-1] if flip else explain(moved)
        own = slice(max(0, down), size + min(0, down)), slice(max(0, right), size + min(0, right))
        its = slice(max(0, -down), size + min(0, -down)), slice(max(0, -right), size + min(0, -right))
        total[:, *own] += maps[:, *its]
        count[own] += 1
    return (total / count).astype(np.float32)


def lattice_share(maps: np.ndarray, period: int) -> float:
    """Share of the spectral energy of |saliency| at the frequencies of a lattice; lower is better.

    For white noise it is the lattice's share of all frequencies, (period / size)^2: 1.6 % for 24 of 192 pixels.

    Parameters
    ----------
    maps : float array, shape (n, size, size)
        Rows and columns beyond the last full period are cut. Maps that are zero everywhere are left out; without any
        other the share is NaN, and for tiles of fewer than two periods, where every frequency is one of the lattice.
    period : int
        Of the lattice, pixels: the ``stride`` of the network. The lattices of its layers, whose strides divide it, are
        part of this lattice.

    Examples
    --------
    >>> comb = np.zeros((1, 48, 48))
    >>> comb[:, ::24, ::24] = 1
    >>> round(lattice_share(comb, 24), 6)
    1.0
    """
    size = maps.shape[-1] // period * period
    parts = (maps[k : k + CHUNK] for k in range(0, len(maps), CHUNK))
    shown = (part[part.any(axis=(1, 2)), :size, :size] for part in parts)
    if size < 2 * period:
        return float("nan")
    shares = np.concatenate([_lattice_shares(part, size // period) for part in shown])
    return float(shares.mean()) if len(shares) else float("nan")


def _lattice_shares(maps: np.ndarray, step: int) -> np.ndarray:
    strength = np.abs(np.nan_to_num(maps.astype(np.float32)))
    power = np.abs(fft.fft2(strength - strength.mean(axis=(1, 2), keepdims=True))) ** 2
    power /= np.maximum(power.sum(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    at = power[:, ::step, ::step].copy()
    at[:, 0, 0] = 0
    return at.sum(axis=(1, 2))
