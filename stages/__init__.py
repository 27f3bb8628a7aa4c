"""The stages of dvc.yaml, each run as ``python -m stages.<name>``."""

import os
import signal
import sys


def _leave(number, frame):
    """An interrupt while libraries load, when nothing has been begun and nothing is to be cleared away."""
    sys.stderr.write("interrupted\n")
    sys.stderr.flush()
    os._exit(128 + number)


if sys.argv[0] == "-m":  # a stage is being started, not imported; stages._stage.run takes over
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
