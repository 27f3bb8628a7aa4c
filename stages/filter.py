"""Leave out tiles that hold too little data to learn from."""

from heatflow.geo.low_data import filter_tiles
from heatflow.io.text import write_csv, write_json
from heatflow.io.vectors import read_features, write_features
from heatflow.present.messages import geo as messages
from stages._paths import KEPT, METRICS, TILE_TABLE, TILES_DROPPED
from stages._runner import read_params, run, say

PARAMS = ("filter",)
INPUTS = (TILE_TABLE,)


def main() -> None:
    filtered = filter_tiles(read_features(TILE_TABLE), read_params(PARAMS).filter)
    write_features(KEPT, filtered.kept, "kept")
    write_csv(TILES_DROPPED, filtered.dropped.drop(columns="geometry"))
    write_json(METRICS / "filter.json", filtered.metrics)
    say(messages.filter_lines(filtered, TILES_DROPPED))


if __name__ == "__main__":
    run(main, INPUTS)
