"""Names of what networks see: the first band of the terrain raster, and the bands beside it."""

from rasterio import DatasetReader

DETRENDED, TREND = ("detrended",), "trend"  # inputs that are made of elevation; others are layers


def further_inputs(dataset: DatasetReader) -> list[str]:
    """Names of the bands beside the first of a raster that `heatflow.geo.terrain.write_terrain` wrote."""
    return [str(name) for name in dataset.descriptions[1:]]
