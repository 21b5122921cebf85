# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a mesh into charts that project without folds onto one of the six box directions."""

import numpy as np
from scipy.sparse import csr_matrix

from core.surface.topology import group

# +X, -X, +Y, -Y, +Z, -Z; (u, v, direction) is right-handed, so that no chart is mirrored.
DIRECTIONS = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], np.float32)
# Columns of (x, y, z, -x, -y, -z) that make u and v.
U_COLUMN = np.array([1, 4, 3, 0, 0, 0])
V_COLUMN = np.array([2, 2, 2, 2, 1, 4])

NEIGHBOUR_VOTE = 0.12  # What one neighbour's direction is worth against the cosine between a triangle and a direction.
STEEPEST = 0.2  # A small chart joins a neighbour only where it is tilted less than this cosine allows.


def smoothed_positions(vertices: np.ndarray, triangles: np.ndarray, rounds: int = 3) -> np.ndarray:
    """Vertices without the noise of a cell's size [V, 3] f32: directions and projections follow these, the surface does not.

    Taubin's pairs of steps (inwards, outwards), which keep thin parts from shrinking.
    """
    count = len(vertices)
    start, end = triangles.ravel(), triangles[:, (1, 2, 0)].ravel()
    weight = 1.0 / np.maximum(np.bincount(start, minlength=count), 1)
    # In a closed mesh each neighbour follows its vertex exactly once.
    mean = csr_matrix((weight[start].astype(np.float32), (start, end)), shape=(count, count))
    smooth = vertices.astype(np.float32)
    for _ in range(rounds):
        for step in (0.5, -0.53):
            smooth = smooth + np.float32(step) * (mean @ smooth - smooth)
    return smooth


def face_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals [F, 3] f32; zero for a triangle without area."""
    x, y, z = (np.ascontiguousarray(vertices[:, k])[triangles] for k in range(3))
    ux, uy, uz = (c[:, 1] - c[:, 0] for c in (x, y, z))
    vx, vy, vz = (c[:, 2] - c[:, 0] for c in (x, y, z))
    normal = np.stack((uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx), axis=1)
    normal /= np.maximum(np.sqrt((normal * normal).sum(axis=1, keepdims=True)), 1e-20)
    return normal


def choose_directions(normals: np.ndarray, neighbours: np.ndarray, rounds: int = 4) -> np.ndarray:
    """The box direction of each triangle [F] i64: its best cosine, with a vote of its neighbours.

    `neighbours` [3, F], here and below: the triangle across each edge, a triangle's own number where there is none.
    """
    axis = np.abs(normals).argmax(axis=1)
    direction = 2 * axis + (normals.ravel()[3 * np.arange(len(normals)) + axis] < 0)
    for _ in range(rounds):
        beside = direction[neighbours]
        # Where all neighbours agree with a triangle nothing can change: only the borders are weighed.
        seam = np.flatnonzero((beside != direction).any(axis=0))
        score = normals[seam] @ DIRECTIONS.T
        for side in range(3):
            score[np.arange(len(seam)), beside[side, seam]] += NEIGHBOUR_VOTE
        chosen = score.argmax(axis=1)
        if np.array_equal(chosen, direction[seam]):
            break
        direction[seam] = chosen
    return direction


def connected_charts(label: np.ndarray, neighbours: np.ndarray) -> tuple[int, np.ndarray]:
    """Pieces of triangles with the same label that hang together by edges: (number, chart [F] i32)."""
    inner = (label[neighbours] == label) & (neighbours > np.arange(len(label)))
    side, face = np.nonzero(inner)
    return group(len(label), face, neighbours[side, face])


def merge_small(
    direction: np.ndarray, chart: np.ndarray, count: int, normals: np.ndarray, neighbours: np.ndarray, limit: int
) -> tuple[int, np.ndarray, np.ndarray]:
    """Give charts of at most `limit` triangles their neighbour's direction: (number, chart [F], direction [F]).

    A chart joins the direction it shares most of its border with among larger charts, if none of its triangles turns over.
    """
    size = np.bincount(chart, minlength=count)
    side, face = np.nonzero(chart[neighbours] != chart)
    ours, theirs = chart[face].astype(np.int64), chart[neighbours[side, face]].astype(np.int64)
    small = np.flatnonzero(size[chart] <= limit)
    flattest = np.full((count, 6), np.inf, np.float32)
    np.minimum.at(flattest, chart[small], normals[small] @ DIRECTIONS.T)
    chart_direction = np.zeros(count, np.int64)
    chart_direction[chart] = direction
    place = np.arange(count)  # Where each of the charts we began with has gone.
    for _ in range(4):
        worth = (size[ours] <= limit) & (size[theirs] >= size[ours])
        table = np.bincount(ours[worth] * 6 + chart_direction[theirs[worth]], minlength=count * 6).reshape(count, 6)
        table[flattest < STEEPEST] = 0
        table[np.arange(count), chart_direction] = 0  # It was parted from that one because it folds.
        move = np.flatnonzero(table.max(axis=1) > 0)
        if not move.size:
            break
        chart_direction[move] = table[move].argmax(axis=1)
        moved = np.zeros(count, bool)
        moved[move] = True
        join = (chart_direction[ours] == chart_direction[theirs]) & (moved[ours] | moved[theirs])
        count, new = group(count, ours[join], theirs[join])
        size = np.bincount(new, size, minlength=count)
        lowest = np.full((count, 6), np.inf, np.float32)
        np.minimum.at(lowest, new, flattest)
        joined_direction = np.zeros(count, np.int64)
        joined_direction[new] = chart_direction
        flattest, chart_direction, place = lowest, joined_direction, new[place]
        ours, theirs = new[ours], new[theirs]
        border = ours != theirs
        ours, theirs = ours[border].astype(np.int64), theirs[border].astype(np.int64)
    return count, place[chart], chart_direction[place[chart]]
