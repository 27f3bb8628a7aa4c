"""Random features: they tell textures apart, and see no image but the known ones when filters are cut."""

import numpy as np

from heatflow.evaluation.baselines import out_of_fold, shrunk
from heatflow.evaluation.random_features import FILTERS, IMAGE, random_features, reduced


def test_features_tell_textures_apart_that_have_the_same_statistics():
    rng = np.random.default_rng(0)
    stripes = np.repeat(rng.normal(size=(60, 24, 6)), 4, axis=2)  # ridges along one axis, or along the other
    turned = np.arange(60) % 2 == 1
    images = np.where(turned[:, None, None], stripes.transpose(0, 2, 1), stripes)
    known = np.arange(60) < 30
    features = random_features(images, known, seed=1)
    assert features.shape == (60, 4 * FILTERS)
    roles = np.where(known, "train", "test")[None]
    both = np.concatenate([roles, np.where(known, "test", "train")[None]])
    p = out_of_fold(features, turned.astype(int), both, 2, shrunk, 0)
    assert np.mean((p[:, 1] > 0.5) == turned) > 0.95


def test_filters_come_from_known_images_alone():
    images = np.random.default_rng(0).normal(size=(6, 20, 20))
    known = np.arange(6) < 4
    before = random_features(images, known, seed=0)
    images[5] = 1e6
    np.testing.assert_array_equal(random_features(images, known, seed=0)[:5], before[:5])


def test_images_that_are_flat_small_or_empty_have_numbers():
    known = np.array([True, True, False])
    assert (random_features(np.zeros((3, 20, 20)), known, 0) == 0).all()
    assert np.isfinite(random_features(np.full((3, 20, 20), np.nan), known, 0)).all()
    assert random_features(np.ones((3, 4, 4)), known, 0).shape == (3, 1)


def test_tiles_are_reduced_to_cells_that_ignore_gaps():
    tile = np.arange(4.0 * IMAGE**2).reshape(2 * IMAGE, 2 * IMAGE)
    tile[0, 0] = np.nan
    image = reduced(tile)
    assert image.shape == (IMAGE, IMAGE)
    assert image[0, 0] == np.float32(np.nanmean(tile[:2, :2]))
