"""The stages of dvc.yaml, each run as ``python -m stages.<name>``: what happens while one loads its libraries.

Then `stages._runner.run` sees to its end.
"""

import atexit
import os
import signal
import sys
from types import TracebackType

SIDE_BY_SIDE = ("baselines", "map", "saliency", "train")  # stages whose work is shared by several processes


def _not_loaded(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    from heatflow.errors import fault_of_machine

    if (fault := fault_of_machine(error)) is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"cannot go on:\n  {fault}", file=sys.stderr, flush=True)
        os._exit(3)


def _workers_load(module: str) -> None:
    """Let the processes of a stage load its libraries while it does so itself: some seconds each."""
    from contextlib import suppress

    from heatflow.compute.mapping import get_ready
    from heatflow.errors import InputError

    with suppress(InputError):  # the stage says what is wrong once it runs
        get_ready(module)


if sys.argv[0] == "-m":
    sys.excepthook = _not_loaded
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # all is done; Python only takes itself down
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    for name in SIDE_BY_SIDE:  # the others do without what this imports
        if f"stages.{name}" in sys.orig_argv:
            _workers_load(f"stages.{name}")
