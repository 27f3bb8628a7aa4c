"""Make the synthetic Basin-and-Range region that the default run learns from."""

from concurrent.futures import ThreadPoolExecutor

from heatflow.demo.region import make_region
from heatflow.io.atomic import replacing
from heatflow.io.rasters import write_cog
from heatflow.io.vectors import write_features
from heatflow.present.messages import geo as messages
from stages._paths import DEMO
from stages._runner import read_params, run, say

PARAMS = ("demo",)


def main() -> None:
    region = make_region(read_params(PARAMS).demo)
    grid, elevation, influence = region.grid, iter([(0, region.elevation)]), iter([(0, region.influence)])
    with replacing(DEMO) as folder:
        folder.mkdir()
        with ThreadPoolExecutor(1) as beside:
            written = beside.submit(write_cog, folder / "elevation.tif", grid, elevation)
            write_cog(folder / "influence.tif", grid, influence, bands=("influence",), units="1")
        written.result()
        for name, layer in region.layers().items():
            write_features(folder / f"{name}.fgb", layer, name)
    say(messages.region_lines(region))


if __name__ == "__main__":
    run(main)
