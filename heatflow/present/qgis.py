"""Styles for QGIS: a .qml file beside a raster of the same name says how it is drawn."""

from importlib import resources
from pathlib import Path

from matplotlib import colormaps, colors

from heatflow.io.atomic import replacing

STOPS = 9
ITEM = '          <item value="{value:.6g}" label="{value:.3g}" color="{colour}" alpha="255"/>\n'


def style(band: int, low: float, high: float, colours: str) -> str:
    """The style of one band of a raster: a matplotlib colour map, linear between two values.

    Parameters
    ----------
    band : int
        Number of the band, from 1.
    low, high : float
        Values of the first and the last colour.
    colours : str
        Name of the colour map.

    Returns
    -------
    str
        Content of a .qml file.
    """
    shares = [k / (STOPS - 1) for k in range(STOPS)]
    stops = [(low + (high - low) * share, colors.to_hex(colormaps[colours](share))) for share in shares]
    items = "".join(ITEM.format(value=value, colour=colour) for value, colour in stops)
    template = (resources.files("heatflow.present") / "style.qml").read_text(encoding="utf-8")
    return template.format(band=band, low=low, high=high, items=items)


def write_style(path: str | Path, band: int, low: float, high: float, colours: str) -> None:
    """Write the `style` of a raster beside it; `path` is that of the .qml file."""
    with replacing(path) as beside:
        beside.write_text(style(band, low, high, colours), encoding="utf-8")
