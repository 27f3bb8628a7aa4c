"""Training that was ended goes on to the same bytes."""

import pytest

from heatflow.learning.checkpoints import Checkpoints
from tests.helpers import TINY


def models(folder):
    return {p.name: p.read_bytes() for p in sorted((folder / "data/models").iterdir())}


@pytest.mark.parametrize(
    ("resample", "changes"), [(True, {}), (False, {"optimizer": "sgd", "schedule": "cosine", "early_stopping": 2})]
)
def test_training_that_was_ended_goes_on_to_the_same_bytes(finished, inputs, monkeypatch, capsys, resample, changes):
    changes = TINY | {"data": inputs, "train": {"epochs": 5} | changes, "augment": {"resample": resample}}
    assert finished.run("train", **changes) == 0
    whole, curves = models(finished.path), (finished.path / "metrics/curves.csv").read_bytes()
    assert not list((finished.path / "data/.checkpoints").iterdir())

    save, saved = Checkpoints.save, []

    def ended(self, name, state):
        save(self, name, state)
        saved.append(name)
        if len(saved) == 7:  # in the second fold, or the first where that stops early
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", ended)
        assert finished.run("train", **changes) == 130
    assert models(finished.path) == whole  # as the run before left them
    for path in (finished.path / "data/models").iterdir():
        path.unlink()
    capsys.readouterr()
    assert finished.run("train", **changes) == 0
    assert "went on after epoch" in capsys.readouterr().out
    assert models(finished.path) == whole
    assert (finished.path / "metrics/curves.csv").read_bytes() == curves
    assert not list((finished.path / "data/.checkpoints").iterdir())
