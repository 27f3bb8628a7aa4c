"""Training patches: cut where they say, with the class of the wells in them, and never on excluded ground."""

import dataclasses

import numpy as np
import pytest
import torch
from rasterio.crs import CRS
from scipy.ndimage import map_coordinates
from shapely import Polygon, box
from torchvision.transforms import v2

from heatflow.config.schema import Augment, Filter, Tile
from heatflow.grid.grids import Grid, TileGrid
from heatflow.learning.inputs import normalise
from heatflow.learning.patches import (
    REACH,
    Patches,
    PatchSampler,
    PatchSource,
    Sites,
    Terrain,
    cut,
    write_surroundings,
)

SIZE = 20
TILE = Tile(size=SIZE, edges=[25, 50], binary_edge=25)
RULES = Filter(min_relief=None, max_constant=None)
NONE = np.zeros((0, 3))


def terrain(height=200, width=160, wells=400, seed=0):
    rng = np.random.default_rng(seed)
    grid = Grid(0.0, float(height), 1.0, width, height, CRS.from_epsg(32611))
    elevation = rng.normal(0, 100, (height, width)).cumsum(axis=0).astype(np.float32)
    return Terrain(
        elevation[None],
        rng.uniform(0, (height, width), (wells, 2)),
        rng.uniform(0, 80, wells),
        TileGrid(grid, SIZE, SIZE),
    )


def square(centre, half, angle=0.0):
    """The outline of a square, x to the right and y down."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return Polygon(corners @ turn + (centre[1], centre[0]))


def places(sampler, times=30):
    for seed in range(times):
        yield sampler.draw(np.random.default_rng(seed))


def test_patches_are_cut_to_the_pixel_and_turned_as_they_say():
    t = terrain()
    one = np.array([[30.0, 50.0]])
    here = t.channels[0][20:40, 40:60]
    for angle, mirrored, expected in [
        (0, False, here),
        (0, True, here[:, ::-1]),
        (np.pi / 2, False, np.rot90(here)),
        (np.pi, False, here[::-1, ::-1]),
        (np.pi / 2, True, np.rot90(here)[:, ::-1]),
    ]:
        patch = cut(t.channels, Patches(one, np.array([angle]), np.array([mirrored]), np.zeros(1)), SIZE)
        np.testing.assert_allclose(patch[0, 0].numpy(), expected, atol=0.05)


def test_a_turned_patch_shows_the_plane_that_it_lies_on():
    row, column = np.mgrid[:100, :120] + 0.5
    plane = (3 * column - 2 * row).astype(np.float32)
    angle, centre = 0.7, np.array([[41.3, 60.9]])
    patch = cut(plane[None], Patches(centre, np.array([angle]), np.array([False]), np.zeros(1)), SIZE)[0, 0].numpy()
    v, u = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    x = 60.9 + u * np.cos(angle) - v * np.sin(angle)
    y = 41.3 + u * np.sin(angle) + v * np.cos(angle)
    np.testing.assert_allclose(patch, 3 * x - 2 * y, atol=0.02)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_patch_on_whole_pixels_is_the_terrain_itself(mirrored):
    t, half = terrain(), SIZE / 2
    centres = np.array([[30.0, 41.0], [half, half]]) + half % 1
    patches = Patches(centres, np.zeros(2), np.full(2, mirrored), np.zeros(2))
    for patch, (row, column) in zip(cut(t.channels, patches, SIZE)[:, 0].numpy(), centres, strict=True):
        top, left = int(row - half), int(column - half)
        there = t.channels[0][top : top + SIZE, left : left + SIZE]
        np.testing.assert_array_equal(patch, there[:, ::-1] if mirrored else there)


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_every_channel_of_a_patch_lies_on_the_same_ground(angle):
    t = terrain()
    both = np.stack([t.channels[0], 2 * t.channels[0] + 1])
    both[1, :25, :] = np.nan
    centre = np.array([[30.0, 50.0], [90.0, 80.0]])
    first, second = cut(both, Patches(centre, np.full(2, angle), np.array([False, True]), np.zeros(2)), SIZE).unbind(1)
    torch.testing.assert_close(second[1], 2 * first[1] + 1, atol=2e-3, rtol=1e-5)
    assert second[0].isnan().any()  # what one channel lacks, the other has all the same
    assert first.isfinite().all()


def test_patches_that_are_not_turned_lie_on_whole_pixels():
    still = Augment(rotation=0)
    patches = PatchSampler(terrain(), [2, 5], [3, 1], [0, 1], NONE, TILE, RULES, still).draw(np.random.default_rng(0))
    corner = patches.centre - SIZE / 2
    assert (corner == np.round(corner)).all()
    turned = PatchSampler(terrain(), [2, 5], [3, 1], [0, 1], NONE, TILE, RULES, Augment(rotation=360))
    corner = turned.draw(np.random.default_rng(0)).centre - SIZE / 2
    assert (corner != np.round(corner)).any()


def test_beyond_the_raster_there_is_no_data_and_nodata_takes_the_mean_of_the_patch():
    t = terrain()
    patch = cut(t.channels, Patches(np.array([[5.0, 50.0]]), np.zeros(1), np.array([False]), np.zeros(1)), SIZE)
    assert patch[0, 0, :5].isnan().all()
    assert patch[0, 0, 6:].isfinite().all()  # a sample beside missing data may count as missing
    scaling = {"offset": 3.0, "scale": 7.0}
    filled = normalise(patch, scaling)[0, 0]
    assert filled[0, 0].item() == pytest.approx((patch.nanmean().item() - 3) / 7, abs=1e-4)
    assert (normalise(torch.full((1, 1, 4, 4), torch.nan), scaling) == 0).all()


def test_labels_are_those_of_the_wells_inside_the_outline():
    t = terrain()
    sampler = PatchSampler(t, [2, 5], [3, 1], [0, 1], NONE, TILE, RULES)
    rng = np.random.default_rng(3)
    centre, angle = rng.uniform(20, 140, (40, 2)), rng.uniform(0, 7, 40)
    for label, c, a in zip(sampler.labels(centre, angle), centre, angle, strict=True):
        outline = square(c, SIZE / 2, a)
        inside = [
            r for (y, x), r in zip(t.well, t.residual, strict=True) if outline.buffer(1e-9).intersects(box(x, y, x, y))
        ]
        assert label == (np.searchsorted([25, 50], max(inside)) if inside else -1)


def test_overlap_with_excluded_squares_is_exact():
    t = terrain()
    excluded = np.array([[60.0, 60.0, 15.0], [150.0, 30.0, 10.0]])
    sampler = PatchSampler(t, [0], [0], [0], excluded, TILE, RULES)
    rng = np.random.default_rng(1)
    centre, angle = rng.uniform(0, (200, 160), (500, 2)), rng.uniform(0, 7, 500)
    shut = [square(c[:2], c[2]) for c in excluded]
    expected = [
        any(square(c, SIZE / 2 + REACH, a).intersects(s) for s in shut) for c, a in zip(centre, angle, strict=True)
    ]
    assert (sampler.touches(centre, angle) == expected).all()
    assert 20 < sum(expected) < 480


def test_no_patch_shows_a_pixel_of_a_excluded_square_and_a_planted_leak_is_seen():
    t = terrain()
    sentinel = 1e9
    t.channels[0][60:80, 60:80] = sentinel  # a test tile
    row, col = (v.ravel() for v in np.mgrid[2:5, 2:5])
    around = (row != 3) | (col != 3)
    for excluded, leaks in ((np.array([[70.0, 70.0, 10.0]]), False), (np.zeros((0, 3)), True)):
        sampler = PatchSampler(t, row[around], col[around], np.zeros(8, dtype=int), excluded, TILE, RULES)
        highest = max(cut(t.channels, p, SIZE).nan_to_num().max().item() for p in places(sampler, 10))
        assert (highest > sentinel / 100) == leaks


def test_a_buffer_widens_what_is_excluded():
    t = terrain()
    wide = PatchSampler(t, [0, 1, 3], [3, 3, 3], [0, 0, 0], np.array([[50.0, 70.0, 30.0]]), TILE, RULES)
    for p in places(wide):
        away = np.abs(p.centre - (50, 70)).max(axis=1)
        moved = (p.angle != 0) | (p.centre != wide.home).any(axis=1)
        assert (away[moved] > 30 + SIZE / 2).all()


def test_a_tile_without_room_around_it_is_taken_as_it_lies():
    t = terrain()
    ring = [(3 + dr, 3 + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1) if dr or dc]
    excluded = np.column_stack([t.tiles.centres(*zip(*ring, strict=True)), np.full(8, SIZE / 2)])
    sampler = PatchSampler(t, [3], [3], [1], excluded, TILE, RULES)
    for p in places(sampler):
        assert p.centre.tolist() == [[70, 70]]
        assert p.angle.tolist() == [0]
        assert p.label.tolist() == [1]


def test_patches_hold_enough_wells_and_data():
    t = terrain()
    t.channels[0][:, :70] = np.nan
    row, col = (v.ravel() for v in np.mgrid[2:8, 3:7])
    tile, rules = TILE.model_copy(update={"min_wells": 3}), Filter(min_valid=0.9, min_relief=50, max_constant=0.5)
    sampler = PatchSampler(t, row, col, np.zeros(len(row), dtype=int), NONE, tile, rules, Augment(flip=False))
    for p in places(sampler, 10):
        moved = (p.angle != 0) | (p.centre != sampler.home).any(axis=1)
        valid = cut(t.channels, p, SIZE).isfinite().float().mean(dim=(1, 2, 3)).numpy()
        assert (valid[moved] > 0.8).all()  # by a probe of 16 x 16 points
        assert not p.mirrored.any()
        assert moved.sum() > 5
    plain = Terrain(np.zeros_like(t.channels), t.well, t.residual, t.tiles)
    flat = PatchSampler(plain, row, col, row, NONE, tile, rules)
    assert not flat.enough_data(np.array([[100.0, 100.0]]), np.zeros(1)).any()


@pytest.mark.parametrize("statistic", ["max", "median"])
def test_an_epoch_is_the_same_for_the_same_seed_and_another_for_the_next(statistic, engine):
    t = terrain()
    row, col = (v.ravel() for v in np.mgrid[2:6, 2:6])
    tile = TILE.model_copy(update={"statistic": statistic})
    sampler = PatchSampler(t, row, col, np.zeros(16, dtype=int), NONE, tile, RULES)
    source = PatchSource(sampler, {"offset": 0.0, "scale": 1.0}, v2.Identity(), engine)
    epochs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        epochs.append([(batch.tiles, batch.labels) for batch in source.epoch(torch.arange(16).view(4, 4))])
    assert len(source.labels) == 16
    assert epochs[0][0][0].shape == (4, 1, SIZE, SIZE)
    for (a, la), (b, lb) in zip(epochs[0], epochs[1], strict=True):
        assert torch.equal(a, b)
        assert torch.equal(la, lb)
    assert not torch.equal(epochs[0][0][0], epochs[2][0][0])


@pytest.mark.parametrize("augment", [Augment(), Augment(flip=True), Augment(flip=True, rotation=360)])
def test_sites_of_patches_lie_where_the_cut_patch_shows_their_terrain(augment):
    t, rng = terrain(), np.random.default_rng(3)
    row, column = np.mgrid[:200, :160] + 0.5
    place = rng.uniform(0, (200, 160), (900, 2))
    sites = Sites(place, np.arange(900), rng.integers(0, 80, 900))  # the label tells which it is
    t = dataclasses.replace(t, channels=(row + 3 * column).astype(np.float32)[None], sites=sites)
    row, col = (v.ravel() for v in np.mgrid[3:6, 3:6])
    sampler = PatchSampler(t, row, col, np.zeros(9, dtype=int), NONE, TILE, RULES, augment)
    for p in places(sampler, 3):
        found, patches = sampler.sites(p), cut(t.channels, p, SIZE)[:, 0].numpy()
        near = np.abs(place[:, None] - p.centre).max(axis=2)
        assert (near < SIZE / 2 / np.sqrt(2)).sum() <= len(found.tile) <= (near <= SIZE / 2 * np.sqrt(2)).sum()
        inner = ((found.place > 1) & (found.place < SIZE - 1)).all(axis=1).numpy()
        assert inner.sum() > 50
        tile, at = found.tile.numpy()[inner], found.place.numpy()[inner]
        height = [map_coordinates(patches[k], (xy - 0.5)[:, None], order=1)[0] for k, xy in zip(tile, at, strict=True)]
        np.testing.assert_allclose(height, place[found.label.numpy()[inner]] @ [1, 3], atol=0.02)
        count = np.bincount(found.tile, minlength=9)[found.tile.numpy()]
        np.testing.assert_allclose(found.weight, 1 / (1 + (count - 1) * sampler.correlation))


def test_surroundings_hold_all_that_patches_around_tiles_reach_and_no_more(tmp_path, write_raster):
    t = terrain(height=1200, width=1000)
    t.channels[0][40:60, 30:70] = np.nan
    raster, path = (
        write_raster(t.channels[0], resolution=1, nodata=np.nan, tiled=True, blockxsize=64, blockysize=64),
        (tmp_path / "channels.npy"),
    )
    row, col = np.array([0, 2, 30]), np.array([1, 3, 49])
    write_surroundings(raster, path, TILE, row, col)
    mapped = np.load(path, mmap_mode="r")
    near = Terrain(mapped, t.well, t.residual, t.tiles)
    samplers = [PatchSampler(each, row, col, np.zeros(3, dtype=int), NONE, TILE, RULES) for each in (t, near)]
    for p, same in zip(*map(places, samplers), strict=True):
        np.testing.assert_array_equal(p.centre, same.centre)
        assert torch.equal(cut(t.channels, p, SIZE).nan_to_num(), cut(mapped, p, SIZE).nan_to_num())
    assert (mapped == 0).mean() > 0.9
