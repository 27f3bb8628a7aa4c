"""Train the networks of each fold."""

from heatflow.io.atomic import replacing
from heatflow.io.text import write_csv, write_json
from heatflow.learning.checkpoints import Checkpoints, fingerprint
from heatflow.learning.engine import Engine
from heatflow.learning.ensemble import TrainedNetwork, TrainingFiles, TrainingTask, train_folds
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import save_networks
from heatflow.learning.patches import write_surroundings
from heatflow.pipeline import code_of
from heatflow.present.messages import learning as messages
from stages._paths import CHECKPOINTS, CODE, CURVES, FOLD_DATA, METRICS, MODELS, SITES, TERRAIN, WELLS
from stages._runner import progress, read_params, run, say, warn

PARAMS = (
    "augment", "filter", *(f"model.{name}" for name in ("layout", "channels", "batch_norm", "pooling", "head_relu")),
    "split.buffer", "tile", "train",
)  # fmt: skip
INPUTS = (TERRAIN, WELLS, SITES, *FOLD_DATA)


def main() -> None:
    p = read_params(PARAMS)
    data = FoldData.load(FOLD_DATA, p.tile.margin)
    passes = p.train.epochs * int((data.roles == "train").sum()) * p.train.seeds
    engine = Engine.choose(
        p.train.device, p.train.precision, p.train.compile, passes, lambda why: warn(messages.fallback_lines(why))
    )
    say([f"computing on {engine}"])
    code = (CODE / path for path in code_of(CODE / "stages/train.py", CODE))
    checkpoints = Checkpoints(CHECKPOINTS, fingerprint([p, str(engine)], [*INPUTS, *code]))
    channels = checkpoints.folder / "channels.npy" if p.augment.resample else None
    if channels:
        with replacing(channels) as beside:
            write_surroundings(TERRAIN, beside, p.tile, *(data.table[name].to_numpy() for name in ("row", "col")))
    files = TrainingFiles(FOLD_DATA, TERRAIN, WELLS, SITES if p.train.site_weight else None, channels, p.tile)
    with progress(data.folds * p.train.seeds, "train", "network") as bar:

        def on_network(trained: TrainedNetwork) -> None:
            bar.clear()
            say(messages.network_lines(trained, p.train.seeds))
            warn(messages.network_warnings(trained, p.train.seeds))

        ensemble = train_folds(TrainingTask(files, p, engine, checkpoints), on_network, bar.update)
    with replacing(MODELS) as folder:
        folder.mkdir()
        save_networks(folder, ensemble.networks)
    write_csv(CURVES, ensemble.curves)
    write_json(METRICS / "train.json", ensemble.metrics)
    checkpoints.clear()


if __name__ == "__main__":
    run(main, INPUTS)
