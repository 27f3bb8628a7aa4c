"""Pictures inside the report: files and rasters as data URIs, shaded terrain, saliency over it."""

import base64
import io
from pathlib import Path

import numpy as np
from matplotlib import colormaps, colors
from PIL import Image

from heatflow.present.figures import hillshade

NO_DATA = 0.93  # grey
CLASS_COLOURS = ("#4477AA", "#66CCEE", "#DDAA33", "#BB5566", "#AA3377", "#228833")  # Tol (2021)


def picture(path: Path) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def data_uri(image: Image.Image, kind: str) -> str:
    """A picture as a data URI; `kind` is "PNG" or "JPEG"."""
    out = io.BytesIO()
    image.save(out, kind, **({"quality": 78} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64," + base64.b64encode(out.getvalue()).decode("ascii")


def layer(values: np.ndarray, colours: str, low: float, high: float, alpha: float = 0.75) -> str:
    """A raster as a data URI, transparent where it is NaN.

    Parameters
    ----------
    values : ndarray of float, shape (rows, columns)
    colours : str
        Name of a matplotlib colour map, which runs from `low` to `high`.
    low, high : float
    alpha : float
        Opacity from 0 to 1.

    Returns
    -------
    str
    """
    return data_uri(coloured(values, colours, low, high, alpha), "PNG")


def coloured(values: np.ndarray, colours: str, low: float, high: float, alpha: float = 0.75) -> Image.Image:
    """A raster as a picture, otherwise as `layer`."""
    rgba = colormaps[colours](np.clip((values - low) / ((high - low) or 1), 0, 1), bytes=True)
    rgba[..., 3] = np.where(np.isfinite(values), round(255 * alpha), 0)
    rgba[~np.isfinite(values), :3] = 0
    return Image.fromarray(rgba)


def class_colours(n: int) -> list[str]:
    """A colour for each of n classes, from low to high.

    >>> class_colours(2)
    ['#4477AA', '#66CCEE']
    """
    if n <= len(CLASS_COLOURS):
        return list(CLASS_COLOURS[:n])
    return [colors.to_hex(colour) for colour in colormaps["turbo"](np.linspace(0.05, 0.95, n))]


def ramp(colours: str) -> str:
    """A matplotlib colour map as a CSS gradient, from left to right."""
    stops = ", ".join(colors.to_hex(colormaps[colours](k / 8)) for k in range(9))
    return f"linear-gradient(to right, {stops})"


def shaded(elevation: np.ndarray, resolution: float) -> Image.Image:
    """Hillshade of terrain in grey, light where there is no data.

    Parameters
    ----------
    elevation : ndarray of float, shape (rows, columns), metres
    resolution : float
        Metres per pixel.
    """
    shade = hillshade(elevation, resolution)
    return Image.fromarray((np.where(np.isnan(shade), NO_DATA, shade) * 255).astype(np.uint8))


def with_saliency(terrain: Image.Image, saliency: np.ndarray) -> Image.Image:
    """Saliency over shaded terrain, the more opaque the stronger. The colours end at the 99th percentile of its size.

    Parameters
    ----------
    terrain : PIL.Image.Image
        Result of `shaded`.
    saliency : ndarray of float, shape (rows, columns)
        Signed.
    """
    values = np.nan_to_num(saliency)
    strength = np.clip(values / (np.quantile(np.abs(values), 0.99) or np.abs(values).max() or 1), -1, 1)
    colour = Image.fromarray(colormaps["PuOr_r"]((strength + 1) / 2, bytes=True)).convert("RGB")
    opacity = np.clip(np.abs(strength) * 1.6, 0, 0.85) * 255
    return Image.composite(colour, terrain.convert("RGB"), Image.fromarray(opacity.astype(np.uint8)))
