"""Masks of other tiles: their shape and place, the ground that they fall on, and what they keep clear of."""

import numpy as np
import pytest
from scipy import ndimage

from heatflow.explanation.masks import MOST_OVERLAP, OTHERS, OVERLAP, lay_masks, soften
from tests.explanation.shapes import SIZE, disc

RNG = np.random.default_rng(0)


def laid(n=30):
    """A disc in each tile, on steep terrain; the other side of the tile is steep too in every second tile."""
    near = np.stack([disc(*RNG.integers(12, SIZE - 12, 2)) for _ in range(n)])
    steep = np.where(near, 30.0, 1.0)
    steep[::2, SIZE // 2 :] = 30.0
    return near, steep, lay_masks(near, near, steep, 10 * steep, seed=0, sigma=1.0)


def test_ground_is_the_mean_of_each_tile_under_each_mask():
    _, steep, masks = laid()
    mask = masks.soft[7]
    expected = (mask * steep[3]).sum() / mask.sum()
    np.testing.assert_allclose(masks.ground[3, 7], [expected, expected / 10, 100 * mask.mean()], rtol=0.1)


def test_masks_of_other_tiles_keep_clear_of_features():
    near, _, masks = laid()
    for which in (masks.as_they_come, masks.similar):
        assert which.shape == (len(near), OTHERS)
        for k in np.flatnonzero(which[:, 0] >= 0):
            assert k not in which[k]
            assert len(set(which[k])) == OTHERS
            over = [(masks.soft[m] * near[k]).sum() / masks.soft[m].sum() for m in which[k]]
            assert max(over) <= OVERLAP + 0.05  # the choice is made on coarser masks


def test_where_features_are_dense_the_masks_that_overlap_least_are_laid():
    rng = np.random.default_rng(0)
    near = ndimage.gaussian_filter(rng.normal(size=(40, SIZE, SIZE)), (0, 6, 6)) > 0  # half of every tile
    masks = lay_masks(near, near, near * 30.0, near * 30.0, seed=0, sigma=1.0)
    over = np.einsum("mij,kij->km", masks.soft, near) / masks.soft.sum(axis=(1, 2))
    laid_over = np.take_along_axis(over, np.column_stack([masks.as_they_come, masks.similar]), axis=1)
    use = masks.similar[:, 0] >= 0
    assert use.sum() > 20
    assert laid_over[use].max() < MOST_OVERLAP + 0.02
    assert laid_over[use].mean() < np.median(over)


def test_similar_masks_fall_on_steeper_ground_than_those_that_come():
    near, _, masks = laid(60)
    tiles = np.arange(0, len(near), 2)[:, None]
    steep = [masks.ground[tiles, which[::2], 0].mean() for which in (masks.similar, masks.as_they_come)]
    assert steep[0] > steep[1] + 3
    own = masks.ground[tiles[:, 0], tiles[:, 0], 0].mean()
    assert abs(own - steep[0]) < abs(own - steep[1])


def test_with_too_few_masks_none_is_laid():
    _, _, masks = laid(5)
    assert (masks.as_they_come == -1).all()
    assert (masks.similar == -1).all()


def test_soft_masks_hold_what_sharp_ones_do():
    near = np.stack([disc(40, 40)])
    assert soften(near, 2.0).sum() == pytest.approx(near.sum(), rel=0.01)
