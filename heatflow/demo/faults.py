"""Normal faults of a Basin and Range, and the structural settings where they end, step over or cross.

Fault lines are broken into segments; where one segment ends and the next begins there is either a step-over (the ends
overlap side by side and a relay ramp joins them) or a gap between two free tips; oblique faults cross some segments.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from heatflow.grid.grids import Grid

STRIKE = np.deg2rad(15.0)  # azimuth of the ranges, clockwise from north
STEP_OVER = 0.72  # chance that a segment ends in a step-over; with CROSSED, gives the settings the ratios of KIND_SHARE
CROSSED = 0.49  # chance that a segment is crossed by an oblique fault
SMALL_BLOCK = 2.8e3  # m, width of the blocks around a structure
FAN = [-1.2, -0.9, -0.6, 0.6, 0.9, 1.2]  # radians that foothills at a tip turn from the main fault
Site = tuple[str, float, float]  # kind of structural setting, x and y in metres


@dataclass(frozen=True)
class Segment:
    """One normal fault: a wavy trace beside which a tilted block rises.

    Lengths in metres. `x`, `y`: centre. `azimuth`: radians clockwise from north. `throw`: height of the footwall.
    `facing`: +1 where the footwall lies to the right of the azimuth, -1 to the left. `taper`: distance over which the
    throw dies out at both ends. `width`: of the tilted block. `waves`: rows of (amplitude, wavelength, phase).
    `line`: number of the line of faults that a range front belongs to.
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

    def offset(self, along: Any) -> Any:
        """How far the trace strays from its straight line, to the right, at distance `along` from the centre."""
        return sum(a * np.sin(2 * np.pi * along / wavelength + phase) for a, wavelength, phase in self.waves)

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
    """All segments, and the structural settings where they end, overlap or cross: ``kind``, ``x`` and ``y``."""
    left, bottom, right, top = grid.bounds
    centre = np.array([(left + right) / 2, (bottom + top) / 2])
    reach = np.hypot(right - left, top - bottom) / 2 + 40e3
    segments: list[Segment] = []
    sites: list[Site] = []
    across, facing, line = -reach + rng.uniform(0, 25e3), int(rng.choice([-1, 1])), 0
    while across < reach:
        line_segments, line_sites = _fault_line(rng, centre, across, reach, facing, line)
        segments += line_segments
        sites += line_sites
        facing *= 1 if rng.random() < 0.8 else -1
        across += rng.uniform(24e3, 40e3)
        line += 1
    structures = pd.DataFrame(sites, columns=["kind", "x", "y"])
    return segments, structures[grid.contains(*grid.pixel(structures.x, structures.y))].reset_index(drop=True)


def _fault_line(
    rng: np.random.Generator, centre: np.ndarray, across: float, reach: float, facing: int, line: int
) -> tuple[list[Segment], list[Site]]:
    """Segments along one line of faults, with the settings between them and the faults that cross it."""
    segments: list[Segment] = []
    sites: list[Site] = []
    along, shift, gap = -reach + rng.uniform(0, 100e3), 0.0, False
    while along < reach:
        length = rng.uniform(140e3, 320e3)
        middle = np.array([np.sin(STRIKE), np.cos(STRIKE)]) * (along + length / 2)
        middle += np.array([np.cos(STRIKE), -np.sin(STRIKE)]) * (across + shift)
        segment = _range_front(rng, centre + middle, length, facing, line)
        if gap:
            sites.append(("tip", *segment.point(-length / 2 + 3e3)))
            segments += _foothills(rng, sites[-1], segment, FAN)
        if rng.random() < CROSSED:
            crossing = _crossing(rng, segment)
            sites.append(("intersection", crossing.x, crossing.y))
            turn = crossing.azimuth - segment.azimuth
            segments += [crossing, *_foothills(rng, sites[-1], segment, [turn] * 3 + [turn - 1.5] * 3)]
        segments.append(segment)
        along += length
        if gap := rng.random() >= STEP_OVER:
            sites.append(("tip", *segment.point(length / 2 - 3e3)))
            segments += _foothills(rng, sites[-1], segment, FAN)
            along += rng.uniform(14e3, 32e3)
        else:
            step = rng.uniform(7e3, 11e3) * (-np.sign(shift) if abs(shift) > 8e3 else rng.choice([-1, 1]))
            overlap = rng.uniform(9e3, 14e3)
            sites.append(("step-over", *segment.point(length / 2 - overlap / 2, step / 2)))
            segments += _foothills(rng, sites[-1], segment, [0.9 * np.sign(step)] * 6)
            shift += step
            along -= overlap
    return segments, sites


def _range_front(rng: np.random.Generator, centre: np.ndarray, length: float, facing: int, line: int) -> Segment:
    """A segment of a line of faults. Its numbers are drawn in the order in which they are written."""
    azimuth, throw = STRIKE + rng.normal(0, 0.03), rng.uniform(1100, 1900)
    taper, width = rng.uniform(13e3, 20e3), rng.uniform(7e3, 10e3)
    waves = [rng.uniform(400, 1300, 2), rng.uniform([18e3, 35e3], [35e3, 70e3]), rng.uniform(0, 7, 2)]
    x, y = centre
    return Segment(x, y, azimuth, length, throw, facing, taper, width, np.column_stack(waves), line=line)


def _foothills(rng: np.random.Generator, site: Site, segment: Segment, turns: Sequence[float]) -> Iterator[Segment]:
    """Small tilted blocks around a structure, on the basin side: the fabric of an accommodation zone.

    `turns` are the angles (radians) that their traces make with the main fault: a fan at a tip, one oblique set in a
    relay ramp, two sets that cross at an intersection.
    """
    out = -segment.facing * 5e3
    x0 = site[1] + out * np.cos(segment.azimuth)
    y0 = site[2] - out * np.sin(segment.azimuth)
    for turn in turns:
        length = rng.uniform(10e3, 17e3)
        yield Segment(
            x0 + rng.normal(0, 4.5e3), y0 + rng.normal(0, 4.5e3), azimuth=segment.azimuth + turn + rng.normal(0, 0.1),
            length=length, throw=rng.uniform(600, 1100), facing=segment.facing, taper=0.35 * length, width=SMALL_BLOCK,
            kind="splay",
        )  # fmt: skip


def _crossing(rng: np.random.Generator, segment: Segment) -> Segment:
    """An oblique fault whose centre lies on the middle part of a segment."""
    return Segment(
        *segment.point(rng.uniform(-0.3, 0.3) * segment.length),
        azimuth=segment.azimuth + rng.choice([-1, 1]) * rng.uniform(1.0, 1.5), length=rng.uniform(26e3, 40e3),
        throw=rng.uniform(800, 1200), facing=int(rng.choice([-1, 1])), taper=10e3, width=5e3, kind="cross fault",
    )  # fmt: skip


def unbroken(segments: list[Segment], grid: Grid) -> Iterator[Segment]:
    """For each line of faults its first segment, drawn out over the whole region."""
    left, bottom, right, top = grid.bounds
    first = {s.line: s for s in reversed(segments) if s.kind == "range front"}
    for _, s in sorted(first.items()):
        middle = (np.array([left + right, bottom + top]) / 2 - (s.x, s.y)) @ (np.sin(STRIKE), np.cos(STRIKE))
        x, y = s.x + middle * np.sin(STRIKE), s.y + middle * np.cos(STRIKE)
        yield replace(s, x=x, y=y, azimuth=STRIKE, length=2 * np.hypot(right - left, top - bottom))
