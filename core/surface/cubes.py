# SPDX-License-Identifier: GPL-3.0-or-later
"""Marching cubes in torch, for a GPU: the twin of scikit-image's, whose tables it reads (Lewiner et al. 2003).

Where a cell's signs leave open which parts of the surface belong together, its values decide, by tests of its faces and of its inside.
All cells answer all tests at once; tables then give each its triangles. Nothing is compiled, and nothing depends on the order of threads.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

# Corners 0 … 7 of a cell along the grid's three axes, and the two corners of its edges 0 … 11, the lower one first.
CORNERS = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))
EDGES = ((0, 1), (1, 2), (3, 2), (0, 3), (4, 5), (5, 6), (7, 6), (4, 7), (0, 4), (1, 5), (2, 6), (3, 7))
MIDDLE = 12  # the "edge" whose vertex lies inside a cell
FACES = ((0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0), (0, 3, 2, 1), (4, 7, 6, 5))  # corners around each
# An edge that may reach through a cell, and the three beside it, around: their corners, from and to. Last: the upright ones as a whole.
RINGS = "01327645 12034756 23105467 30216574 45763201 56470312 67541023 74652130 04372615 15043726 26150437 37261504 04372615"
UPRIGHT = 12
DECIDED_BY_SIGNS = (1, 2, 5, 8, 9, 11, 14)  # of Lewiner's cases
TINY = float(np.spacing(1.0))
# What the signs of the ring's values A B C D (bits 0 … 3, set where not negative) say of its inside: joined, parted, or A C - B D decides.
PARTED, JOINED, IF_LESS, IF_NOT_LESS = range(4)
SAYS = (PARTED, PARTED, PARTED, PARTED, PARTED, IF_LESS, PARTED, JOINED, PARTED, PARTED, IF_NOT_LESS, JOINED, PARTED, *[JOINED] * 3)


def marching_cubes(grid: Tensor) -> tuple[Tensor, Tensor]:
    """The zero level of a grid's values [X, Y, Z], of which none is zero: (vertices [V, 3] f32 in cells, triangles [F, 3] i32), which
    run counter-clockwise seen from where values are greater. Both are empty where all values have one sign. The order is that of the grid.
    """
    tables, strides = tables_on(grid.device), torch.tensor((grid.shape[1] * grid.shape[2], grid.shape[2], 1), device=grid.device)
    above = (grid > 0).to(torch.uint8)
    signs = sum(_corner(above, place) << k for k, place in enumerate(CORNERS))
    cell = ((signs != 0) & (signs != 255)).nonzero()  # [M, 3]
    first = (cell * strides).sum(1)
    values = grid.reshape(-1)[first[:, None] + (tables.corners * strides).sum(1)].double()  # [M, 8]
    row = _rows(values, signs[tuple(cell.T)].long(), tables)
    of = torch.repeat_interleave(torch.arange(len(row), device=grid.device), count := tables.count[row])
    nth = torch.arange(len(of), device=grid.device) - (count.cumsum(0) - count)[of]
    edge = tables.triangles[row[of], nth]  # [F, 3]
    # A vertex is where it lies: the lower corner of its edge, and along which axis; 3 stands for the middle of a cell.
    lies = 4 * (first[of, None] + (tables.low[edge] * strides).sum(2)) + tables.axis[edge]
    lies, triangles = torch.unique(lies, return_inverse=True)
    vertices = torch.empty(len(lies), 3, device=grid.device)
    vertices[triangles.reshape(-1)] = _places(values, cell, tables)[of[:, None], edge].view(-1, 3)
    return vertices, triangles.to(torch.int32)


def _corner(grid: Tensor, place: tuple[int, int, int]) -> Tensor:
    """One corner of every cell."""
    return grid[tuple(slice(at, size - 1 + at) for at, size in zip(place, grid.shape, strict=True))]


def _places(values: Tensor, cell: Tensor, tables: "Tables") -> Tensor:
    """Where the vertices of cells are, if there are any: on the 12 edges, and in the middle. [M, 8], [M, 3] -> [M, 13, 3] f32"""
    near = 1 / (TINY + values.abs())  # the weight of a corner
    low, high = (near[:, tables.edges[:, end]] for end in range(2))
    along = tables.low[:MIDDLE] + (high / (low + high))[..., None] * tables.along
    middle = (near @ tables.corners.double()) / near.sum(1, keepdim=True)
    return (torch.cat((along, middle[:, None]), 1) + cell[:, None]).float()


def _rows(values: Tensor, signs: Tensor, tables: "Tables") -> Tensor:
    """The row of triangles that each cell takes: values [M, 8] f64, signs [M] -> [M]"""
    a, b, c, d = values[:, tables.faces].unbind(2)
    cross = a * c - b * d
    joined = (cross.abs() < TINY) | (a * cross >= 0)  # [M, 6]: the face's positive corners hang together, if A is one
    known = 64 * signs + (joined << torch.arange(6, device=signs.device)).sum(1)
    return tables.row[2 * known + _inside(values, tables.ring[known], tables.side[known], tables)]


def _inside(values: Tensor, ring: Tensor, side: Tensor, tables: "Tables") -> Tensor:
    """The test of a cell's inside, between four parallel edges cut at one height: [M, 8], ring [M], side [M] ±1 -> [M] i64, 0 or 1"""
    start, end = values.gather(1, tables.rings[ring]).view(-1, 4, 2).unbind(2)
    rise, upright = end - start, ring == UPRIGHT
    # Upright edges are cut where the four values are nearest to a saddle, the others at the first one's zero.
    bend = rise[:, 0] * rise[:, 2] - rise[:, 1] * rise[:, 3]
    slope = start[:, 2] * rise[:, 0] + start[:, 0] * rise[:, 2] - start[:, 3] * rise[:, 1] - start[:, 1] * rise[:, 3]
    height = torch.where(upright, -slope / (2 * bend + TINY), start[:, 0] / (start[:, 0] - end[:, 0] + TINY))
    level = start + rise * height[:, None]
    level[:, 0] = torch.where(upright, level[:, 0], 0.0)
    says = tables.says[((level >= 0) << torch.arange(4, device=ring.device)).sum(1)]
    less = level[:, 0] * level[:, 2] - level[:, 1] * level[:, 3] < TINY
    outside = upright & ((height < 0) | (height > 1))
    parted = outside | (says == PARTED) | ((says == IF_LESS) & less) | ((says == IF_NOT_LESS) & ~less)
    return torch.where(parted, side > 0, ~outside & (says == JOINED) & (side < 0)).long()


# The tables ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tables:
    """What cells look up, on one device.

    corners [8, 3], edges [12, 2], faces [6, 4], rings [13, 8], says [16] are those above; low [13, 3], axis [13], along [12, 3]: an edge's
    lower corner and direction. By 64 times the signs and the outcomes of the faces' tests, ring and side: the test of the inside (0 where
    there is none); by twice as much and the inside's outcome, row: of triangles [R, 12, 3], edges by number, and of their count [R].
    """

    corners: Tensor
    edges: Tensor
    faces: Tensor
    rings: Tensor
    says: Tensor
    low: Tensor
    axis: Tensor
    along: Tensor
    ring: Tensor
    side: Tensor
    row: Tensor
    triangles: Tensor
    count: Tensor


@cache
def tables_on(device: torch.device) -> Tables:
    """The tables of a device, made the first time."""
    corners, edges = np.array(CORNERS), np.array(EDGES)
    along = corners[edges[:, 1]] - corners[edges[:, 0]]
    fixed = {"corners": corners, "edges": edges, "faces": np.array(FACES), "says": np.array(SAYS), "along": along}
    fixed["rings"] = np.array([[int(corner) for corner in ring] for ring in RINGS.split()])
    fixed["low"] = np.concatenate((corners[edges[:, 0]], np.zeros((1, 3), int)))
    fixed["axis"] = np.append(along.argmax(1), 3)
    return Tables(**{name: torch.from_numpy(table).to(device) for name, table in (fixed | _decisions()).items()})


def _decisions() -> dict[str, np.ndarray]:
    """ring, side, row, triangles and count of `Tables`."""
    lewiner, tilings = _lewiner(), {}
    ring, side, row = np.zeros((256, 64), np.int64), np.zeros((256, 64), np.int64), np.zeros((256, 64, 2), np.int64)
    for signs, (case, config) in enumerate(lewiner("CASES").tolist()):
        for faces in range(1) if case in (0, *DECIDED_BY_SIGNS) else range(64):
            where = slice(None) if case in (0, *DECIDED_BY_SIGNS) else faces

            def joined(face: int, faces: int = faces) -> bool:
                return bool(faces >> (abs(face) - 1) & 1) == (face > 0)

            ring[signs, where], side[signs, where] = _test_inside(lewiner, case, config, joined)
            for inside in range(2):
                tiling = _tiling(lewiner, case, config, joined, inside)
                row[signs, where, inside] = tilings.setdefault(tiling, len(tilings))
    triangles, count = np.zeros((len(tilings), 12, 3), np.int64), np.zeros(len(tilings), np.int64)
    for (name, *place), number in tilings.items():
        edges = lewiner(f"TILING{name}")[tuple(place)].reshape(-1, 3)[:, ::-1] if name else np.empty((0, 3))
        triangles[number, : len(edges)], count[number] = edges, len(edges)
    return {"ring": ring.ravel(), "side": side.ravel(), "row": row.ravel(), "triangles": triangles, "count": count}


def _lewiner() -> Callable[[str], np.ndarray]:
    """Lewiner's tables by name, as scikit-image holds them."""
    from skimage.measure import _marching_cubes_lewiner_luts as tables

    @cache
    def table(name: str) -> np.ndarray:
        shape, text = getattr(tables, name)
        return np.frombuffer(base64.decodebytes(text.encode()), np.int8).reshape(shape)

    return table


def _tests(lewiner: Callable[[str], np.ndarray], case: int, config: int) -> list[int]:
    """What a case that its signs leave open asks: its faces, 1 … 6, negative for the opposite answer, then its inside (`_test_inside`)."""
    return np.atleast_1d(lewiner(f"TEST{case}")[config]).tolist()


def _tiling(
    lewiner: Callable[[str], np.ndarray], case: int, config: int, joined: Callable[[int], bool], inside: int
) -> tuple[str | int, ...]:
    """The triangles of a case, by the table's name and the place in it. joined(face): the outcome of a face's test."""
    if case == 0:
        return ("",)
    if case in DECIDED_BY_SIGNS:
        return f"{case}", config
    tests = _tests(lewiner, case, config)
    if case == 3:
        return "3_2" if joined(tests[0]) else "3_1", config
    if case == 4:
        return "4_1" if inside else "4_2", config
    if case == 6:
        return "6_2" if joined(tests[0]) else "6_1_1" if inside else "6_1_2", config
    if case == 7:
        number = sum(joined(test) << k for k, test in enumerate(tests[:3]))
        alone, pair = {1: 0, 2: 1, 4: 2}, {3: 0, 5: 1, 6: 2}
        if number in (0, 7):
            return "7_1" if number == 0 else "7_4_2" if inside else "7_4_1", config
        return ("7_2", config, alone[number]) if number in alone else ("7_3", config, pair[number])
    if case in (10, 12):
        kind = {(1, 1): "1_1_", (1, 0): "2", (0, 1): "2_", (0, 0): "1_1" if inside else "1_2"}
        return f"{case}_{kind[joined(tests[0]), joined(tests[1])]}", config
    number = _subcase_of_13(lewiner, tests, joined)
    for name, many in (("1", 1), ("2", 6), ("3", 12), ("4", 4), ("5_1" if inside else "5_2", 4), ("3_", 12), ("2_", 6), ("1_", 1)):
        if 0 <= number < many:
            return (f"13_{name}", config) if many == 1 else (f"13_{name}", config, number)
        number -= many
    return ("",)  # of outcomes that contradict each other


def _test_inside(lewiner: Callable[[str], np.ndarray], case: int, config: int, joined: Callable[[int], bool]) -> tuple[int, int]:
    """Which edges the test of a case's inside goes along, and the side that it asks about; (0, 0) where there is none."""
    if case not in (4, 6, 7, 10, 12, 13):
        return 0, 0
    tests = _tests(lewiner, case, config)
    if case in (4, 10):
        return UPRIGHT, tests[-1]
    if case == 13:
        number = _subcase_of_13(lewiner, tests, joined) - 23
        return (int(lewiner("TILING13_5_1")[config, number, 0]), tests[6]) if 0 <= number < 4 else (0, 0)
    return tests[-1], tests[-2]


def _subcase_of_13(lewiner: Callable[[str], np.ndarray], tests: list[int], joined: Callable[[int], bool]) -> int:
    return int(lewiner("SUBCONFIG13")[sum(joined(test) << k for k, test in enumerate(tests[:6]))])
