import base64
import io

import numpy as np
import pytest
from PIL import Image

from heatflow.present import images


def test_every_class_has_a_colour_of_its_own():
    assert all(len(set(images.class_colours(n))) == n for n in range(2, 13))


def test_a_layer_is_transparent_where_it_is_nan():
    uri = images.layer(np.array([[0.0, np.nan], [1.0, 0.5]]), "gray", 0, 1, alpha=0.6)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA"))
    assert picture[..., 3].tolist() == [[153, 0], [153, 153]]
    assert picture[..., 0].tolist() == [[0, 0], [255, pytest.approx(127, abs=1)]]


def test_saliency_that_is_zero_leaves_the_terrain_as_it_is():
    shade = images.shaded(np.random.default_rng(0).normal(size=(9, 9)), 1.0)
    assert np.array_equal(images.with_saliency(shade, np.zeros((9, 9))), shade.convert("RGB"))
    assert not np.array_equal(images.with_saliency(shade, np.ones((9, 9))), shade.convert("RGB"))
