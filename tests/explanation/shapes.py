"""Features of known shape in a tile."""

import numpy as np

SIZE = 80


def disc(row, column, radius=10):
    r, c = np.ogrid[:SIZE, :SIZE]
    return (r - row) ** 2 + (c - column) ** 2 <= radius**2
