"""Normal faults of a Basin and Range, the structural settings where they end, step over or cross, and look-alikes.

Lines of faults are broken into segments. Where one segment ends and the next begins their ends overlap side by side, or
a gap is left between two free ends; oblique ridges cross some segments. Foothills lie around each such place. Half of
the places are structures and half are look-alikes, by the toss of a coin. Both have the same blocks, drawn from the
same laws. Only the azimuths of the foothills differ:

========================  =============================================  ===========================================
main blocks               structure: its foothills turn and cross        look-alike: they are parallel to the front
========================  =============================================  ===========================================
two overlapping ends      step-over: oblique blocks join the ends        scarps that pass each other without joining
a free end                tip: the fault splays                          a range that dies out without a step
a ridge across the front  intersection: blocks follow both directions    a ridge over an unbroken front, no fault
========================  =============================================  ===========================================
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from heatflow.grid.grids import Grid

STRIKE = np.deg2rad(22.5)  # azimuth of the ranges, clockwise from north
STEP_OVER = 0.72  # chance that the ends of two segments overlap; with CROSSED, gives kinds the ratios of KIND_SHARE
CROSSED = 0.54  # chance that a segment is crossed by an oblique ridge
SMALL_BLOCK = 1.8e3  # m, width of foothills
OUT, SPREAD = 3e3, 7e3  # m from a front to a place on its basin side; standard deviation of foothills around it
# radians that foothills of a structure turn from the front, to either side: with STRIKE, a pixel grid is as oblique to
# them as to the front, and differences between pixels are as wrong in a structure as in a look-alike
OBLIQUE = np.pi / 4
FOOTHILLS = 12  # around each place
LENGTH = 8e3, 14e3  # m, of foothills


@dataclass(frozen=True)
class Segment:
    """One tilted block, and the wavy trace along which it rises.

    Lengths in metres. `x`, `y`: centre. `azimuth`: radians clockwise from north. `throw`: height of the footwall.
    `facing`: +1 where the footwall lies to the right of the azimuth, -1 to the left. `taper`: distance over which the
    throw dies out at both ends. `width`: of the tilted block. `waves`: rows of (amplitude, wavelength, phase).
    `kind`: of fault; "foothill" and "ridge" are no faults. `line`: number of the line of faults that a range front
    belongs to.
    """

    x: float
    y: float
    azimuth: float
    length: float
    throw: float
    facing: int
    taper: float
    width: float
    waves: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))
    kind: str = "range front"
    line: int = -1

    @property
    def is_fault(self) -> bool:
        """Whether a fault bounds the block: true of all but those of look-alikes."""
        return self.kind not in ("foothill", "ridge")

    def offset(self, along: Any) -> Any:
        """How far the trace strays from its straight line, to the right, at distance `along` from the centre."""
        return sum(a * np.sin(2 * np.pi * along / wavelength + phase) for a, wavelength, phase in self.waves.tolist())

    def throw_share(self, along: np.ndarray) -> np.ndarray:
        """Throw at distance `along` from the centre as a share of the largest: 1 inside, 0 from the tips on."""
        inward = np.clip((self.length / 2 - np.abs(along)) / self.taper, 0, 1)
        return inward * inward * (3 - 2 * inward)

    def point(self, along: Any, right: float = 0.0) -> tuple[Any, Any]:
        """Map coordinates (x, y) of the points `along` the trace and `right` of it: numbers, or arrays of one shape."""
        right = right + self.offset(along)
        sin, cos = np.sin(self.azimuth), np.cos(self.azimuth)
        return self.x + along * sin + right * cos, self.y + along * cos - right * sin

    def trace(self) -> np.ndarray:
        """Vertices of the trace every kilometre or so, shape (n, 2)."""
        along = np.linspace(-self.length / 2, self.length / 2, max(2, round(self.length / 1000)))
        return np.column_stack(self.point(along))


def fault_network(grid: Grid, rng: np.random.Generator) -> tuple[list[Segment], pd.DataFrame]:
    """All blocks, and the structures and look-alikes within the grid.

    Returns
    -------
    segments : list of Segment
    places : DataFrame
        ``kind`` ("step-over", "tip" or "intersection"), ``group`` ("structure" or "look-alike"), ``x``, ``y``.
    """
    left, bottom, right, top = grid.bounds
    centre = np.array([(left + right) / 2, (bottom + top) / 2])
    reach = np.hypot(right - left, top - bottom) / 2 + 40e3
    network = _Network(rng)
    across, facing, line = -reach + rng.uniform(0, 25e3), int(rng.choice([-1, 1])), 0
    while across < reach:
        network.add_line(centre, across, reach, facing, line)
        facing *= 1 if rng.random() < 0.8 else -1
        across += rng.uniform(24e3, 36e3)
        line += 1
    places = pd.DataFrame(network.places, columns=["kind", "group", "x", "y"])
    return network.segments, places[grid.contains(*grid.pixel(places.x, places.y))].reset_index(drop=True)


class _Network:
    """Blocks and places, as they are added line by line."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.segments: list[Segment] = []
        self.places: list[tuple[str, str, float, float]] = []
        self.coins: dict[str, list[bool]] = {}

    def add_line(self, centre: np.ndarray, across: float, reach: float, facing: int, line: int) -> None:
        """Segments along one line of faults, with the places between them and the ridges that cross it."""
        rng = self.rng
        along, shift, gap = -reach + rng.uniform(0, 100e3), 0.0, False
        while along < reach:
            length = rng.uniform(75e3, 155e3)
            middle = np.array([np.sin(STRIKE), np.cos(STRIKE)]) * (along + length / 2)
            middle += np.array([np.cos(STRIKE), -np.sin(STRIKE)]) * (across + shift)
            front = _range_front(rng, centre + middle, length, facing, line)
            self.segments.append(front)
            if gap:
                self._add_place("tip", front, front.point(-length / 2 + 3e3))
            if rng.random() < CROSSED:
                self._add_crossing(front)
            along += length
            if gap := rng.random() >= STEP_OVER:
                self._add_place("tip", front, front.point(length / 2 - 3e3))
                along += rng.uniform(14e3, 32e3)
            else:
                step = rng.uniform(7e3, 11e3) * (-np.sign(shift) if abs(shift) > 8e3 else rng.choice([-1, 1]))
                overlap = rng.uniform(9e3, 14e3)
                ramp = front.point(length / 2 - overlap / 2, step / 2)
                self._add_place("step-over", front, ramp)
                shift += step
                along -= overlap

    def _add_crossing(self, front: Segment) -> None:
        """An oblique ridge across the middle part of a front: a fault at an intersection, none at a look-alike."""
        rng = self.rng
        where, turn = front.point(rng.uniform(-0.3, 0.3) * front.length), rng.choice([-1, 1]) * rng.uniform(1.0, 1.5)
        structure = self._add_place("intersection", front, where)
        self.segments.append(Segment(
            *where, azimuth=front.azimuth + turn, length=rng.uniform(26e3, 40e3), throw=rng.uniform(800, 1200),
            facing=int(rng.choice([-1, 1])), taper=10e3, width=5e3, kind="cross fault" if structure else "ridge",
        ))  # fmt: skip

    def _add_place(self, kind: str, front: Segment, where: tuple[float, float]) -> bool:
        """A structure or a look-alike with its foothills; returns whether it is a structure.

        Coins are tossed in pairs, of which one falls on each side.
        """
        if not self.coins.get(kind):
            self.coins[kind] = self.rng.permutation([True, False]).tolist()
        structure, out = self.coins[kind].pop(), -front.facing * OUT
        x, y = where[0] + out * np.cos(front.azimuth), where[1] - out * np.sin(front.azimuth)
        self.places.append((kind, "structure" if structure else "look-alike", x, y))
        azimuths = front.azimuth + np.resize([OBLIQUE, -OBLIQUE] if structure else 0.0, FOOTHILLS)
        self.segments += _foothills(self.rng, x, y, azimuths, "splay" if structure else "foothill")
        return structure


def _range_front(rng: np.random.Generator, centre: np.ndarray, length: float, facing: int, line: int) -> Segment:
    """A segment of a line of faults. Its numbers are drawn in the order in which they are written."""
    azimuth, throw = STRIKE + rng.normal(0, 0.03), rng.uniform(1100, 1900)
    taper, width = rng.uniform(13e3, 20e3), rng.uniform(7e3, 10e3)
    waves = [rng.uniform(400, 1300, 2), rng.uniform([18e3, 35e3], [35e3, 70e3]), rng.uniform(0, 7, 2)]
    x, y = centre
    return Segment(x, y, azimuth, length, throw, facing, taper, width, np.column_stack(waves), line=line)


def _foothills(rng: np.random.Generator, x: float, y: float, azimuths: np.ndarray, kind: str) -> Iterator[Segment]:
    """Small tilted blocks around a place: the fabric of an accommodation zone, or what looks like it.

    Where a block lies does not depend on its azimuth. Seen from the place all directions are alike, so that the terrain
    within any distance of it, its slope and its curvature follow the same law whatever the azimuth.
    """
    for azimuth in azimuths:
        length = rng.uniform(*LENGTH)
        yield Segment(
            x + rng.normal(0, SPREAD), y + rng.normal(0, SPREAD), azimuth=azimuth + rng.normal(0, 0.1),
            length=length, throw=rng.uniform(600, 1100), facing=int(rng.choice([-1, 1])), taper=0.4 * length,
            width=SMALL_BLOCK, waves=np.array([[rng.uniform(100, 400), length, rng.uniform(0, 7)]]), kind=kind,
        )  # fmt: skip


def unbroken(segments: list[Segment], grid: Grid) -> Iterator[Segment]:
    """For each line of faults its first segment, drawn out over the whole region."""
    left, bottom, right, top = grid.bounds
    first = {s.line: s for s in reversed(segments) if s.kind == "range front"}
    for _, s in sorted(first.items()):
        middle = (np.array([left + right, bottom + top]) / 2 - (s.x, s.y)) @ (np.sin(STRIKE), np.cos(STRIKE))
        x, y = s.x + middle * np.sin(STRIKE), s.y + middle * np.cos(STRIKE)
        yield replace(s, x=x, y=y, azimuth=STRIKE, length=2 * np.hypot(right - left, top - bottom))
