"""How QGIS draws a raster when it is opened: a .qml file of the same name beside it."""

from pathlib import Path
from xml.sax.saxutils import quoteattr

from matplotlib import colormaps
from matplotlib.colors import to_hex

from heatflow.io.atomic import replacing

STOPS = 9


def write_style(path: str | Path, band: int, low: float, high: float, colours: str) -> None:
    """Write the style of one band of a raster: colours of a matplotlib map between two values, linear.

    Parameters
    ----------
    path : of the .qml file
    band : number of the band, from 1
    """
    items = []
    for k in range(STOPS):
        value = low + (high - low) * k / (STOPS - 1)
        colour = to_hex(colormaps[colours](k / (STOPS - 1)))
        items.append(
            f'          <item value="{value:.6g}" label={quoteattr(f"{value:.3g}")} color="{colour}" alpha="255"/>'
        )
    lines = [
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>",
        '<qgis version="3.28" styleCategories="Symbology">',
        "  <pipe>",
        f'    <rasterrenderer type="singlebandpseudocolor" band="{band}" opacity="0.8" alphaBand="-1" '
        f'classificationMin="{low:.6g}" classificationMax="{high:.6g}">',
        "      <rastershader>",
        '        <colorrampshader colorRampType="INTERPOLATED" clip="0" classificationMode="1" '
        f'minimumValue="{low:.6g}" maximumValue="{high:.6g}">',
        *items,
        "        </colorrampshader>",
        "      </rastershader>",
        "    </rasterrenderer>",
        "  </pipe>",
        "</qgis>",
    ]
    with replacing(path) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
