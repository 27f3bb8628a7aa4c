"""Training of all folds: it learns what is there and nothing else, and goes on where it was killed."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from heatflow.errors import InputError
from heatflow.geo.tiles import PackedTiles
from heatflow.learning.checkpoints import Checkpoints
from heatflow.learning.ensemble import TrainingTask, train_folds
from heatflow.learning.patches import Sites
from heatflow.learning.training import predict


def task(data, params, engine, terrain=None, checkpoints=None):
    return TrainingTask(lambda: (data, terrain), params, engine, checkpoints)


def out_of_fold_auc(data, params, engine):
    ensemble, label = train_folds(task(data, params, engine)), data.table["label"].to_numpy()
    aucs = []
    for fold, networks in enumerate(ensemble.networks):
        index = data.members(fold, "test")
        scores = predict(networks[0], data.inputs(fold, index), 20, engine).softmax(dim=1)[:, 1]
        aucs.append(roc_auc_score(label[index], scores.numpy()))
    return np.mean(aucs)


def test_stripes_are_learnt_and_shuffled_labels_are_not(region, params, engine):
    quick = params.model_copy(
        update={
            "train": params.train.model_copy(update={"epochs": 12}),
            "augment": params.augment.model_copy(update={"flip": False, "rotation": 0}),
        }
    )
    assert out_of_fold_auc(region, quick, engine) > 0.9
    label = np.random.default_rng(1).permutation(region.table["label"].to_numpy())
    shuffled = dataclasses.replace(region, table=region.table.assign(label=label))
    assert abs(out_of_fold_auc(shuffled, quick, engine) - 0.5) < 0.15


def test_networks_learn_at_sites_what_the_classes_of_tiles_do_not_tell(region, terrain, params, engine):
    label, ids = (region.table[name].to_numpy() for name in ("label", "tile"))
    rng = np.random.default_rng(0)
    sites = Sites(terrain.tiles.centres(region.table["row"], region.table["col"]), label, ids)
    noise = dataclasses.replace(terrain, residual=rng.permutation(terrain.residual), sites=sites)
    train = params.train.model_copy(update={"epochs": 24, "site_weight": 1.0})
    ensemble = train_folds(task(region, params.model_copy(update={"train": train}), engine, noise))
    aucs = []
    for fold, (network,) in enumerate(ensemble.networks):
        index = region.members(fold, "test")
        with torch.no_grad():
            maps = network.eval().class_maps(region.inputs(fold, index))
            scores = network.site_scores(maps, torch.arange(len(index)), torch.full((len(index), 2), 20.0))
        aucs.append(roc_auc_score(label[index], scores.softmax(dim=1)[:, 1].numpy()))
    assert np.mean(aucs) > 0.9
    without = train.model_copy(update={"epochs": 1, "site_weight": 0.0})
    plain = dataclasses.replace(noise, sites=None)
    (network, *_), *_ = train_folds(task(region, params.model_copy(update={"train": without}), engine, plain)).networks
    assert not network.sites


def test_training_that_was_killed_goes_on_to_the_same_networks(
    region, terrain, params, engine, tmp_path, monkeypatch
):  # fmt: skip
    params = params.model_copy(update={"train": params.train.model_copy(update={"seeds": 2, "epochs": 2})})
    whole = train_folds(task(region, params, engine, terrain))
    save, saved = Checkpoints.save, []

    def ended(self, name, state):
        save(self, name, state)
        saved.append(name)
        if len(saved) == 7:  # after the first epoch of the second network of the second fold
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", ended)
        with pytest.raises(KeyboardInterrupt):
            train_folds(task(region, params, engine, terrain, Checkpoints(tmp_path, "0" * 32)))
    again = train_folds(task(region, params, engine, terrain, Checkpoints(tmp_path, "0" * 32)))
    assert [one.resumed for one in again.trained] == [2, 2, 2, 1, 0, 0]
    assert again.curves.equals(whole.curves)
    assert again.metrics == whole.metrics
    for a, b in zip(np.ravel(again.networks), np.ravel(whole.networks), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_what_came_of_training(region, params, engine):
    trained = []
    ensemble = train_folds(task(region, params, engine), trained.append)
    assert ensemble.trained == trained
    assert [len(fold) for fold in ensemble.networks] == [1, 1, 1]
    assert ensemble.curves["fold"].tolist() == [name for name in "012" for _ in range(3)]
    last = ensemble.curves[ensemble.curves["epoch"] == 3]
    assert ensemble.metrics["validation_loss"] == pytest.approx(last["validation_loss"].mean())
    several = dataclasses.replace(ensemble, trained=[dataclasses.replace(one, seed=1) for one in trained])
    assert several.curves["fold"].unique().tolist() == ["0.1", "1.1", "2.1"]
    stuck = dataclasses.replace(trained[0], stuck=True, dead=[0, 1])
    assert dataclasses.replace(ensemble, trained=[stuck, trained[1]]).metrics["dead_classes"] == 2


def test_copies_of_test_tiles_are_refused(region, params, engine):
    pixels = region.tiles.pixels.copy()
    pixels[region.members(0, "test")[0]] = pixels[region.members(0, "train")[0]]
    copied = dataclasses.replace(region, tiles=PackedTiles(pixels[:, None], region.tiles.ids))
    with pytest.raises(InputError, match="holds the same pixels as tile"):
        train_folds(task(copied, params, engine))
