"""Train the networks of each fold."""

from typing import Any

from heatflow.io.atomic import replacing
from heatflow.io.text import write_csv, write_json
from heatflow.learning.checkpoints import Checkpoints, fingerprint
from heatflow.learning.engine import Engine, keep_freed_memory
from heatflow.learning.ensemble import TrainedNetwork, train_folds
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import save_networks
from heatflow.learning.patches import Terrain
from heatflow.pipeline import code_of
from heatflow.present.messages import learning as messages
from stages._paths import CHECKPOINTS, CODE, CURVES, FOLD_DATA, METRICS, MODELS, TERRAIN, WELLS
from stages._runner import progress, read_params, run, say, warn

PARAMS = ("augment", "filter", "model", "split.buffer", "tile", "train")
INPUTS = (TERRAIN, WELLS, *FOLD_DATA)


def main() -> None:
    p = read_params(PARAMS)
    data = FoldData.load(*FOLD_DATA)
    passes = p.train.epochs * int((data.roles == "train").sum()) * p.train.seeds
    engine = Engine.choose(
        p.train.device, p.train.precision, p.train.compile, passes, lambda why: warn(messages.fallback_lines(why))
    )
    say([f"computing on {engine}"])
    keep_freed_memory()
    terrain = Terrain.load(TERRAIN, WELLS, p.tile) if p.augment.resample else None
    code = (CODE / path for path in code_of(CODE / "stages/train.py", CODE))
    checkpoints = Checkpoints(CHECKPOINTS, fingerprint([p, str(engine)], [*INPUTS, *code]))
    with progress(data.folds * p.train.seeds * p.train.epochs, "train", "epoch") as bar:

        def on_epoch(fold: int, row: dict[str, Any]) -> None:
            bar.set_postfix_str(f"fold {fold} loss {row['train_loss']:.3f} / {row['validation_loss']:.3f}")
            bar.update()

        def on_network(trained: TrainedNetwork) -> None:
            bar.update(p.train.epochs - len(trained.history))
            bar.clear()
            say(messages.network_lines(trained, p.train.seeds))
            warn(messages.network_warnings(trained, p.train.seeds))

        def on_resume(fold: int, seed: int, epochs: int) -> None:
            say(messages.resume_lines(fold, seed, p.train.seeds, epochs))

        ensemble = train_folds(
            data, p, engine, terrain, checkpoints, on_epoch=on_epoch, on_resume=on_resume, on_network=on_network
        )
    with replacing(MODELS) as folder:
        folder.mkdir()
        save_networks(folder, ensemble.networks)
    write_csv(CURVES, ensemble.curves)
    write_json(METRICS / "train.json", ensemble.metrics)
    checkpoints.clear()


if __name__ == "__main__":
    run(main, INPUTS)
