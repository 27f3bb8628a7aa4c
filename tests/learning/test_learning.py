"""Folds, scaling, augmentation, network and training."""

import math
import shutil

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from heatflow.config.schema import Recipe
from heatflow.errors import InputError
from heatflow.learning import engine as engine_module
from heatflow.learning.augment import AddNoise, RandomFlips, RandomTurns, pipeline
from heatflow.learning.engine import Engine, has_bfloat16
from heatflow.learning.folds import COMPARED, Folds, absent_classes, split_tiles
from heatflow.learning.inputs import network_inputs
from heatflow.learning.models import load_networks, save_networks
from heatflow.learning.network import Dropout, NetworkInNetwork
from heatflow.learning.scaling import fit_scaling
from heatflow.learning.training import (
    Part,
    TileSource,
    batches,
    dead_classes,
    evaluate,
    predict,
    reproducible,
    stuck_at_chance,
    train_network,
)

OPTIONS = {
    "scheme": "blocks", "folds": 4, "block_size": 2, "validation": 0.2, "seed": 1, "size": 200, "stride": 200,
    "buffer": 0.0, "repeats": 1,
}  # fmt: skip
RECIPE = Recipe(epochs=30, batch_size=10, lr=0.03, weight_decay=0.01)
FLOAT32 = Engine(torch.device("cpu"), "float32")
BFLOAT16 = Engine(torch.device("cpu"), "bfloat16")


def lattice(n=16, classes=4, seed=0):
    row, col = (v.ravel() for v in np.mgrid[:n, :n])
    return row, col, np.random.default_rng(seed).choice(classes, n * n, p=[0.5, 0.1, 0.15, 0.25])


def test_every_tile_is_tested_once_and_blocks_stay_whole():
    row, col, label = lattice()
    roles = split_tiles(row, col, label, **OPTIONS)
    assert ((roles == "test").sum(axis=0) == 1).all()
    block = (row // 2) * 8 + col // 2
    for fold in roles:
        for role in ("train", "validation", "test"):
            others = block[fold != role]
            assert not np.isin(block[fold == role], others).any()
        assert 0.1 < (fold == "validation").sum() / (fold != "test").sum() < 0.3


def test_folds_hold_like_shares_of_each_class():
    row, col, label = lattice(20)
    roles = split_tiles(row, col, label, **OPTIONS)
    shares = np.array([[np.mean(label[fold == "test"] == k) for k in range(4)] for fold in roles])
    assert np.abs(shares - np.bincount(label) / label.size).max() < 0.05


def test_overlapping_tiles_never_train_on_test_pixels():
    row, col, label = lattice()
    roles = split_tiles(row, col, label, **OPTIONS | {"stride": 100})
    for fold in roles:
        test = fold == "test"
        for i in np.flatnonzero((fold == "train") | (fold == "validation")):
            assert (np.maximum(np.abs(row[test] - row[i]), np.abs(col[test] - col[i])) >= 2).all()
    assert (roles == "buffer").any()


def test_random_scheme_scatters_tiles_and_seed_decides():
    row, col, label = lattice()
    one = split_tiles(row, col, label, **OPTIONS | {"scheme": "random"})
    again = split_tiles(row, col, label, **OPTIONS | {"scheme": "random"})
    other = split_tiles(row, col, label, **OPTIONS | {"scheme": "random", "seed": 2})
    assert (one == again).all()
    assert (one != other).any()
    block = (row // 2) * 8 + col // 2
    assert len(np.unique(block[one[0] == "test"])) > 30


def test_fewer_blocks_than_folds_is_refused():
    row, col, label = lattice(4)
    with pytest.raises(InputError, match="need at least 5 blocks of tiles, and there are 4"):
        split_tiles(row, col, label, **OPTIONS)


def test_absent_classes_and_the_table_on_disk(tmp_path):
    roles = np.array([["train", "test", "validation"], ["test", "train", "train"]], dtype=object)
    assert (0, "train", 1) in absent_classes(roles, np.array([0, 1, 0]), 2)
    assert (1, "train", 1) not in absent_classes(roles, np.array([0, 1, 0]), 2)
    split = Folds(roles, np.array(["0", COMPARED]))
    split.table(np.array([7, 3, 9])).to_csv(tmp_path / "folds.csv", index=False)
    again = Folds.read(tmp_path / "folds.csv", np.array([9, 7]))
    assert (again.roles == roles[:, [2, 0]]).all()
    assert again.scored.tolist() == [0]
    assert again.compared.tolist() == [1]


def test_buffer_keeps_training_and_validation_away_from_test_tiles():
    row, col, label = lattice(20)
    options = OPTIONS | {"block_size": 4, "buffer": 1.0}
    for fold in split_tiles(row, col, label, **options):
        test = fold == "test"
        for role, least in (("train", 2), ("validation", 2), ("buffer", 1)):
            apart = np.maximum(
                np.abs(row[fold == role][:, None] - row[test]), np.abs(col[fold == role][:, None] - col[test])
            ).min(axis=1)
            assert (apart >= least).all()
            assert role != "buffer" or (apart == 1).all()
    half = split_tiles(row, col, label, **options | {"buffer": 0.5})  # a neighbour is nearer than half a tile
    assert (half == split_tiles(row, col, label, **options)).all()
    loose = split_tiles(row, col, label, **options | {"scheme": "random"})
    assert not (loose == "buffer").any()
    with pytest.raises(InputError, match=r"within 9 tiles of its test tiles were set aside; decrease split\.buffer"):
        split_tiles(row, col, label, **options | {"buffer": 9.0})


def test_repeats_deal_anew_and_test_every_tile_once_each():
    row, col, label = lattice()
    roles = split_tiles(row, col, label, **OPTIONS | {"repeats": 3})
    assert len(roles) == 3 * OPTIONS["folds"]
    deals = roles.reshape(3, OPTIONS["folds"], -1)
    assert ((deals == "test").sum(axis=1) == 1).all()
    assert (deals[0] != deals[1]).any()
    assert (deals[0] == split_tiles(row, col, label, **OPTIONS)).all()


@pytest.mark.parametrize(
    ("method", "offset", "scale"),
    [("max", 0, 8), ("standard", 3, math.sqrt(12.5)), ("robust", 2.5, 5.25), ("none", 0, 1)],
)
def test_scaling_by_hand(method, offset, scale):
    tiles = [np.array([[-1.0, 2.0]]), np.array([[3.0, np.nan]]), np.array([[8.0, np.nan]])]
    fit = fit_scaling(tiles, method)
    if method in ("standard", "robust"):
        values = np.array([-1.0, 2, 3, 8])
        offset = values.mean() if method == "standard" else 2.5
        scale = values.std() if method == "standard" else np.subtract(*np.quantile(values, [0.75, 0.25]))
    assert fit == {"offset": pytest.approx(offset), "scale": pytest.approx(scale), "low": -1, "high": 8}


def test_scaling_refuses_what_gives_no_scale():
    with pytest.raises(InputError, match="would divide by"):
        fit_scaling([np.full((2, 2), -3.0)], "max")
    with pytest.raises(InputError, match="no data at all"):
        fit_scaling([np.full((2, 2), np.nan)], "standard")


def test_nodata_takes_the_mean_of_its_own_tile():
    tiles = np.array([[[1.0, 3.0], [np.nan, 5.0]], [[np.nan] * 2] * 2], dtype=np.float32)
    out = network_inputs(tiles, {"offset": 1.0, "scale": 2.0})
    np.testing.assert_allclose(out[:, 0], [[[0, 1], [1, 2]], [[0, 0], [0, 0]]])
    assert np.isnan(tiles).sum() == 5


def test_flips_agree_with_the_library_tile_by_tile():
    tiles = torch.rand(12, 1, 9, 9)
    torch.manual_seed(3)
    flips = RandomFlips()
    params = flips.make_params([tiles])
    out = flips.transform(tiles, params)
    assert len(set(map(tuple, params["flips"].tolist()))) == 4
    for tile, result, (across, down) in zip(tiles, out, params["flips"], strict=True):
        expected = functional.horizontal_flip(tile) if across else tile
        expected = functional.vertical_flip(expected) if down else expected
        assert torch.equal(result, expected)


@pytest.mark.parametrize("flip", [False, True])
def test_turns_agree_with_the_library_tile_by_tile_inside_and_invent_nothing_outside(flip):
    torch.manual_seed(1)
    smooth = functional.gaussian_blur(torch.rand(12, 1, 41, 41), [7, 7], [2.0, 2.0])
    turns = RandomTurns(90, flip)
    params = turns.make_params([smooth])
    out = turns.transform(smooth, params)
    r, c = np.mgrid[:41, :41] - 20
    disc = torch.from_numpy(np.hypot(r, c) < 18)
    assert len(set(map(tuple, params["flips"].tolist()))) == (4 if flip else 1)
    for tile, result, angle, (across, down) in zip(smooth, out, params["angle"], params["flips"], strict=True):
        tile = functional.horizontal_flip(tile) if across else tile
        tile = functional.vertical_flip(tile) if down else tile
        expected = functional.rotate(tile, float(angle), interpolation=v2.InterpolationMode.BILINEAR)
        assert torch.allclose(result[0][disc], expected[0][disc], atol=1e-4)
    assert out.min() >= smooth.min()
    assert len(set(params["angle"].tolist())) == 12
    constant = torch.full((4, 1, 20, 20), 7.0)
    assert torch.allclose(turns(constant), constant)


def test_pipeline_holds_what_is_asked_for():
    tiles = torch.rand(5, 1, 8, 8)
    assert torch.equal(pipeline(flip=False, rotation=0, noise=0)(tiles), tiles)
    noisy = AddNoise(0.5)(torch.zeros(50, 1, 40, 40))
    assert abs(noisy.std().item() - 0.5) < 0.01
    assert not torch.equal(pipeline(flip=True, rotation=30, noise=0)(tiles), tiles)


def test_network_is_the_reports_with_its_errata():
    network = NetworkInNetwork(classes=4, channels=[96, 256, 384], dropout=0.2, batch_norm=False, head_relu=True)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    shapes = [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.padding[0]) for m in convolutions]
    assert shapes[::3] == [(1, 96, 5, 3, 0), (96, 256, 3, 1, 2), (256, 384, 3, 1, 1), (384, 4, 3, 1, 1)]
    assert all(kernel == 1 for *_, kernel, _, _ in shapes[1::3] + shapes[2::3])
    assert network(torch.rand(2, 1, 200, 200)).shape == (2, 4)
    relus = [m for m in network.modules() if isinstance(m, nn.ReLU)]
    assert len({id(m) for m in relus}) == 12
    assert not any(m.inplace for m in relus)
    assert (
        sum(
            isinstance(m, nn.ReLU)
            for m in NetworkInNetwork(classes=4, channels=[8, 8], dropout=0.2, batch_norm=True, head_relu=False).head
        )
        == 2
    )


def test_smallest_input_is_what_the_network_takes():
    from heatflow.config.geometry import min_size

    for blocks in (1, 2, 3, 4):
        network = NetworkInNetwork(classes=3, channels=[4] * blocks, dropout=0.0, batch_norm=False, head_relu=False)
        least = min_size(blocks)
        assert network(torch.rand(1, 1, least, least)).shape == (1, 3)
        with pytest.raises(RuntimeError):
            network(torch.rand(1, 1, least - 1, least - 1))


def test_head_relu_clips_scores_and_kills_classes():
    network = NetworkInNetwork(classes=3, channels=[4], dropout=0.0, batch_norm=False, head_relu=True)
    last = [m for m in network.head if isinstance(m, nn.Conv2d)][-1]
    with torch.no_grad():
        last.bias[1] = -100.0
    scores = predict(network, torch.randn(6, 1, 40, 40), 4, FLOAT32)
    assert (scores >= 0).all()
    assert 1 in dead_classes(scores)
    assert dead_classes(torch.tensor([[0.0, 1.0], [0.5, 1.0]])) == [1]


def striped(n, seed):
    """Tiles whose class is the direction of their stripes: not to be told by any mean or spread."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    wave = np.sin(np.arange(40) * 0.7)
    tiles = np.stack([np.tile(wave, (40, 1)) if k else np.tile(wave, (40, 1)).T for k in labels])
    return (tiles + rng.normal(0, 0.3, tiles.shape)).astype(np.float32), labels.astype(np.int64)


def as_part(tiles, labels, engine):
    return Part(torch.from_numpy(tiles)[:, None].to(engine.dtype), torch.from_numpy(labels))


def fit(recipe=RECIPE, engine=FLOAT32, **options):
    options = {"dropout": 0.1, "batch_norm": True, "head_relu": False} | options
    training, validation = (as_part(*striped(40, s), engine) for s in (0, 1))
    augment = pipeline(flip=True, rotation=0, noise=0)
    with reproducible(0):
        network = NetworkInNetwork(classes=2, channels=[6, 8, 8], **options)
        history = train_network(network, TileSource(training, augment), validation, recipe, engine)
    return network, history, validation


@pytest.mark.parametrize("engine", [FLOAT32, BFLOAT16], ids=str)
def test_training_learns_what_can_be_learnt_and_repeats_to_the_bit(engine):
    network, history, validation = fit(engine=engine)
    assert len(history) == RECIPE.epochs
    assert evaluate(network, validation, 10, engine)[1] > 0.9
    assert not stuck_at_chance(history, 2)
    assert all(p.dtype == torch.float32 for p in network.parameters())
    again, same, _ = fit(engine=engine)
    assert history == same
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_dropout_leaves_the_mean_of_what_it_feeds_as_it_is():
    torch.manual_seed(0)
    body = NetworkInNetwork(classes=2, channels=[16], dropout=0.5, batch_norm=False, head_relu=False).body
    tiles = torch.randn(40, 1, 40, 40)
    with torch.no_grad():
        training, use = body.train()(tiles), body.eval()(tiles)
        before_pool = nn.Sequential(body[0], body[2], body[1]).train()(tiles)
    assert training.mean().item() == pytest.approx(use.mean().item(), rel=0.02)
    assert before_pool.mean().item() > 1.3 * use.mean().item()  # where the report has it


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_every_recipe_runs_in_double_precision(optimizer, schedule):
    engine = Engine(torch.device("cpu"), "float64")
    network, history, _ = fit(
        Recipe(epochs=2, batch_size=10, lr=0.01, optimizer=optimizer, weight_decay=0.0, schedule=schedule), engine
    )
    assert next(network.parameters()).dtype == torch.float64
    assert all(math.isfinite(row["train_loss"]) for row in history)


def test_stuck_is_told_from_learning():
    assert stuck_at_chance([{"train_loss": 1.386}], 4)
    assert not stuck_at_chance([{"train_loss": 1.386}, {"train_loss": 1.2}], 4)


def test_loss_that_is_no_number_any_more_is_refused():
    with pytest.raises(InputError, match=r"train\.lr: in epoch 1 the loss is no longer a finite number"):
        fit(RECIPE.model_copy(update={"lr": 1e30, "optimizer": "sgd", "schedule": "constant"}), batch_norm=False)


def test_every_tile_is_in_an_epoch_and_batches_are_of_one_size():
    for n, size in ((7, 3), (40, 20), (41, 20), (3, 20)):
        order = batches(n, size)
        assert order.shape == (-(-n // min(n, size)), min(n, size))
        assert set(order.flatten().tolist()) == set(range(n))
        assert all(len(set(batch)) == len(batch) for batch in order.tolist())


def test_dropout_drops_its_share_scales_the_rest_and_passes_gradients_alike():
    torch.manual_seed(1)
    x = torch.ones(8, 5, 50, 51).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = Dropout(0.3)(x)
    kept = out != 0
    assert 1 - kept.float().mean().item() == pytest.approx(0.3, abs=0.005)
    assert out[kept].unique().tolist() == pytest.approx([1 / 0.7], rel=1e-4)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
    # neither between channels nor between neighbours does one draw tell of another
    for a, b in ((kept[:, 0], kept[:, 1]), (kept[..., 1:], kept[..., :-1])):
        assert (a & b).float().mean().item() == pytest.approx(0.49, abs=0.01)
    assert torch.equal(Dropout(0.3).eval()(x), x)


def test_device_that_is_not_there_is_refused():
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no usable CUDA GPU"):
            Engine.choose("cuda")
    assert Engine.choose("cpu").device.type == "cpu"


def test_auto_takes_bfloat16_where_the_processor_has_it_and_never_compiles_on_a_cpu(monkeypatch):
    for able in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {"avx512_bf16": able})
        assert has_bfloat16(torch.device("cpu")) == able
        assert Engine.choose("cpu", passes=10**9) == Engine(
            torch.device("cpu"), "bfloat16" if able else "float32", compiled=False
        )
    assert str(Engine(torch.device("cpu"), "float64")).endswith("float64")


def test_compiler_that_does_not_work_is_said_and_done_without(monkeypatch):
    monkeypatch.setattr(engine_module, "compiler_fault", lambda device: "InvalidCxxCompiler: none")
    said = []
    assert not Engine.choose("cpu", "float32", compile=True, on_fallback=said.append).compiled
    assert said == ["InvalidCxxCompiler: none"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_networks_train_as_eager_ones_and_share_their_code():
    engine = Engine.choose("cpu", "float32", compile=True)
    assert engine.compiled
    _, eager, _ = fit(dropout=0.0)
    _, history, _ = fit(engine=engine, dropout=0.0)
    assert history[0]["train_loss"] == pytest.approx(eager[0]["train_loss"], rel=1e-3)
    assert history[-1]["validation_accuracy"] > 0.9
    with torch.compiler.set_stance("fail_on_recompile"):
        fit(RECIPE, engine, dropout=0.0)


def test_networks_come_back_from_disk_the_same(tmp_path):
    network, _, validation = fit()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_networks(tmp_path / folder, [[network, network]])
    assert (tmp_path / "a/fold0_1.pt").read_bytes() == (tmp_path / "b/fold0_1.pt").read_bytes()
    loaded, _ = load_networks(tmp_path / "a", 0)
    torch.testing.assert_close(*(predict(n, validation.tiles, 10, FLOAT32) for n in (loaded, network)))


@pytest.mark.parametrize("first_high", [1, 2, 3])
@pytest.mark.parametrize("loss", ["cross_entropy", "ordinal", "two_stage"])
def test_every_loss_gives_probabilities_and_starts_from_the_class_shares(loss, first_high):
    network = NetworkInNetwork(
        classes=4, channels=[4], dropout=0.0, batch_norm=True, head_relu=False, loss=loss, first_high=first_high
    )
    scores = network(torch.randn(5, 1, 40, 40))
    assert scores.shape == (5, 4)
    if loss != "cross_entropy":  # log-probabilities already, so that softmax changes nothing
        torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(5))
    shares = torch.tensor([0.5, 0.1, 0.15, 0.25])
    torch.testing.assert_close(network.decision(network.decision.scores_for(shares)[None]).softmax(dim=1)[0], shares)


def test_ordinal_and_two_stage_by_hand():
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    ordinal = (
        NetworkInNetwork(classes=3, channels=[4], dropout=0.0, batch_norm=True, head_relu=False, loss="ordinal")
        .decision(torch.tensor([[0.3, -1.2]]))
        .exp()[0]
    )
    pass_1, pass_2 = sigmoid(0.3), sigmoid(-1.2)
    assert ordinal.tolist() == pytest.approx([1 - pass_1, pass_1 * (1 - pass_2), pass_1 * pass_2])
    stage = NetworkInNetwork(
        classes=4, channels=[4], dropout=0.0, batch_norm=True, head_relu=False, loss="two_stage", first_high=2
    ).decision
    p = stage(torch.tensor([[0.5, 1.0, 1.0, 0.0, math.log(3)]])).exp()[0]
    high = sigmoid(0.5)
    assert p.tolist() == pytest.approx([(1 - high) / 2, (1 - high) / 2, high / 4, 3 * high / 4])


@pytest.mark.parametrize("loss", ["ordinal", "two_stage"])
def test_every_loss_learns(loss):
    network, _, validation = fit(loss=loss)
    assert evaluate(network, validation, 10, FLOAT32)[1] > 0.9


def test_early_stopping_keeps_the_weights_of_the_lowest_validation_loss():
    recipe = Recipe(epochs=40, batch_size=10, lr=0.03, weight_decay=0.0, schedule="constant", early_stopping=3)
    (tiles, labels), (others, truth) = striped(40, 0), striped(40, 1)
    training = as_part(tiles, labels, FLOAT32)
    validation = as_part(others, np.where(np.arange(40) < 15, 1 - truth, truth), FLOAT32)  # sureness does not pay
    with reproducible(0):
        network = NetworkInNetwork(classes=2, channels=[6, 8, 8], dropout=0.1, batch_norm=True, head_relu=False)
        history = train_network(network, TileSource(training, v2.Identity()), validation, recipe, FLOAT32)
    losses = [row["validation_loss"] for row in history]
    assert len(history) < 40
    assert len(history) - 1 - int(np.argmin(losses)) == 3
    assert evaluate(network, validation, 10, FLOAT32)[0] == pytest.approx(min(losses), rel=1e-5)


def test_class_weights_let_a_rare_class_be_called():
    tiles, labels = striped(60, 3)
    tiles += np.random.default_rng(0).normal(0, 2.5, tiles.shape).astype(np.float32)  # hard to tell
    rare = np.flatnonzero(labels == 1)[:8]
    kept = np.concatenate([np.flatnonzero(labels == 0), rare])
    part = as_part(tiles[kept], labels[kept], FLOAT32)
    called = []
    for weighted in (False, True):
        recipe = Recipe(
            epochs=4, batch_size=10, lr=0.003, weight_decay=0.01, schedule="constant", class_weights=weighted
        )
        with reproducible(0):
            network = NetworkInNetwork(classes=2, channels=[6, 8, 8], dropout=0.1, batch_norm=True, head_relu=False)
            train_network(network, TileSource(part, pipeline(flip=True, rotation=0, noise=0)), part, recipe, FLOAT32)
        called.append((predict(network, part.tiles, 10, FLOAT32).softmax(dim=1)[:, 1]).mean().item())
    assert called[1] > called[0] + 0.15
