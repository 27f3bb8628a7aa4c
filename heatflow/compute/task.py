"""Tasks that open files once in each process, and tasks that work in parts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any


class OpeningTask:
    """A task with a function ``open``, of no arguments, that gives what every item needs.

    Each process opens for itself, once: what is open is not sent.
    """

    @cached_property
    def opened(self) -> Any:
        """What ``open`` gives."""
        return self.open()  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "opened"}


@dataclass(frozen=True)
class Unfinished:
    """What a task gives that has done a part of its work: it is called again, after others that wait.

    Few long tasks leave processes idle in the end: five on two cores take three rounds, in parts two and a half.

    Parameters
    ----------
    item : object
        With which the task goes on.
    """

    item: Any
