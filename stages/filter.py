"""Leave out tiles that hold too little data to learn from."""

from heatflow.errors import InputError
from heatflow.geo.low_data import low_data
from heatflow.io.text import write_csv, write_json
from heatflow.io.vectors import read_features, write_features
from stages._paths import KEPT, METRICS, TILE_TABLE, TILES_DROPPED
from stages._runner import read_params, run, say

PARAMS = ("filter",)
INPUTS = (TILE_TABLE,)


def main():
    p = read_params(PARAMS).filter
    table = read_features(TILE_TABLE)
    reason = low_data(table, min_valid=p.min_valid, min_relief=p.min_relief, max_constant=p.max_constant)
    kept, dropped = table[reason == ""], table[reason != ""].assign(reason=reason[reason != ""])
    counts = dropped["reason"].value_counts()
    if kept.empty:
        why = ", ".join(f"{n} {text}" for text, n in counts.items())
        raise InputError(f"filter: none of the {len(table)} tiles is left ({why}); relax filter.min_valid and the rest")
    write_features(KEPT, kept.reset_index(drop=True), "kept")
    write_csv(TILES_DROPPED, dropped.drop(columns="geometry"))
    classes = kept["label"].value_counts().sort_index()
    write_json(
        METRICS / "filter.json",
        {
            "tiles": len(table),
            "kept": len(kept),
            "dropped": {text.replace(" ", "_"): int(n) for text, n in sorted(counts.items())},
            "classes": {str(k): int(n) for k, n in classes.items()},
        },
    )
    say(f"{len(kept)} of {len(table)} tiles kept")
    for text, n in counts.items():
        say(f"{n} dropped: {text} -> {TILES_DROPPED}")


if __name__ == "__main__":
    run(main, INPUTS)
