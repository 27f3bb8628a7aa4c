"""Files of a prediction map: rasters, their styles for QGIS, and the best places."""

from pathlib import Path

import numpy as np

from heatflow.io.rasters import write_cog
from heatflow.io.vectors import write_features
from heatflow.prediction.prediction_map import PredictionMap
from heatflow.present.qgis import write_style


def write_map(folder: Path, prediction: PredictionMap) -> None:
    """Write the files of a map into a folder: ``<name>.tif`` and ``<name>.qml``, and ``top.fgb``.

    The rasters are ``probability``, ``uncertainty`` and ``applicability``; where sites are predicted ``sites``; and
    where known sites correct them ``near_wells``.

    Parameters
    ----------
    folder : Path
        An existing folder.
    prediction : PredictionMap
    """
    tile, threshold = prediction.ensemble.tile, prediction.ensemble.applicability.threshold
    layers = prediction.layers.rasters(tile)
    if prediction.sites is not None:
        bands = [f"site: probability of above {edge:g} mW/m2" for edge in tile.edges]
        spread = f"site: disagreement, sd of the probability of above {tile.binary_edge:g} mW/m2"
        layers["sites"] = dict(zip([*bands, spread], prediction.sites, strict=True))
        write_style(folder / "sites.qml", tile.first_high, 0, 1, "viridis")
    if prediction.near_wells is not None:
        near = f"site: probability of above {tile.binary_edge:g} mW/m2, with the wells near it"
        layers["near_wells"] = {near: prediction.near_wells}
        write_style(folder / "near_wells.qml", 1, 0, 1, "viridis")
    for name, bands_of in layers.items():
        strip = np.stack(list(bands_of.values()))
        grid = prediction.window_grid.map_grid
        write_cog(folder / f"{name}.tif", grid, iter([(0, strip)]), bands=tuple(bands_of), units="1")
    write_style(folder / "probability.qml", tile.n_classes + 1, 0, 1, "viridis")
    write_style(folder / "uncertainty.qml", 1, 0, 1, "cividis")
    write_style(folder / "applicability.qml", 1, 0, 2 * threshold, "cividis_r")
    write_features(folder / "top.fgb", prediction.places, "top")
