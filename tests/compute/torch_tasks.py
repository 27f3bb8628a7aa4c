"""Tasks that compute with torch; a script prints the threads of two workers."""

import torch  # noqa: F401

from heatflow.compute.mapping import map_in_order
from tests.compute.tasks import threads


def torch_threads(item):
    return threads(item)


if __name__ == "__main__":
    print(list(map_in_order(torch_threads, range(4))))
