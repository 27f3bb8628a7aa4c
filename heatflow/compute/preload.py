"""Loads the modules that MODULES names into the server of `heatflow.compute.local.serve`, whose copies are workers.

What it cannot load, for lack of memory or of the file, it leaves to the workers, which say so.
"""

import importlib
import os
import sys
from contextlib import suppress

MODULES = "HEATFLOW_PRELOAD"  # environment variable: their names, with commas between

for name in filter(None, os.environ.pop(MODULES, "").split(",")):
    with suppress(Exception):
        importlib.import_module(name)
        if name.startswith("stages."):
            del sys.modules[name]  # workers run it again under another name, and Python would warn that it is here
