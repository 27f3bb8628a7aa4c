"""A stage whose tasks sleep, for tests that stop it: python -m tests.compute.asleep FOLDER."""

import sys

from heatflow.compute.mapping import map_in_order
from stages._runner import run
from tests.compute.tasks import sleep

if __name__ == "__main__":
    run(lambda: list(map_in_order(sleep, [sys.argv[1]] * 4)))
