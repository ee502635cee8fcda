"""Growth of a vessel tree: each tissue point without supply attracts the node that can reach it at the lowest cost.

Space colonisation (Runions, Lane, Prusinkiewicz 2007, Eurographics Workshop on Natural Phenomena). The cost makes
branches leave at the angle of blood vessels instead of along the shortest path, and a vessel stops before it meets
another one of its kind.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

ARTERY, VEIN = 0, 1
STEP = 0.13  # mm between nodes
_ACUTE = 0.2  # weight of the forward direction: the cheapest branch angle is 80°; inertia makes it smaller
_CELL = 0.10  # mm, edge of the cells that are searched for other vessels
_CLEARANCE = 0.09  # mm between a new node and any other node than its parent: a vessel cannot cross its own kind
_CELLS = 280  # cells along one edge: 28 mm
_APART = 1000.0  # mm between the planes in which arteries and veins grow: tissue never attracts the other kind


class Forest:
    """Growing artery and vein trees; the node buffers double when they are full.

    Args:
        avascular: Radius around the fovea, the origin, in which no vessel grows, mm.
    """

    def __init__(self, avascular: float) -> None:
        self.avascular = avascular
        self.count = 0
        self.points = np.zeros((4096, 2), np.float32)
        self.heading = np.zeros((4096, 2), np.float32)
        self.parent = np.full(4096, -1)
        self.children = np.zeros(4096, np.int32)
        self.kind = np.zeros(4096, np.int8)
        self._occupant = np.full((2, _CELLS, _CELLS), -1)  # index of the latest node in each cell, for each kind

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points (n, 2) mm, parents (n,) and kinds (n,) of all nodes."""
        kind = self.kind[: self.count].copy()
        points = self.points[: self.count].astype(float)
        points[:, 1] -= _APART * kind
        return points, self.parent[: self.count].copy(), kind

    def add(self, points: np.ndarray, heading: np.ndarray, parent: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """Add nodes and return their indices, (m,).

        Args:
            points: (m, 2) mm.
            heading: (m, 2) unit vectors of the direction of growth.
            parent: (m,) index of each node's parent, -1 for a root.
            kind: (m,) `ARTERY` or `VEIN`.
        """
        end = self.count + len(points)
        while end > len(self.points):
            for name in ("points", "heading", "parent", "children", "kind"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.full_like(old, -1 if name == "parent" else 0)]))
        new = np.arange(self.count, end)
        self.points[new], self.heading[new], self.parent[new], self.kind[new] = points, heading, parent, kind
        np.add.at(self.children, parent[parent >= 0], 1)
        column, row = _cells(self.points[new], kind)
        self._occupant[kind, column, row] = new
        self.count = end
        return new

    def add_trunk(self, line: np.ndarray, kind: int) -> None:
        """Add the nodes of a trunk, (m, 2) mm from its root outwards."""
        heading = np.gradient(line, axis=0)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        parent = np.arange(self.count - 1, self.count - 1 + len(line))
        parent[0] = -1
        self.add(line + [0, _APART * kind], heading, parent, np.full(len(line), kind))

    def colonise(self, tissue: list[np.ndarray], spacing: float, draw: np.random.Generator) -> None:
        """Grow until every tissue point has a vessel nearby or is unreachable.

        Args:
            tissue: Tissue points of the arteries and of the veins, (k, 2) mm each.
            spacing: Distance between tissue points, mm.
            draw: Random generator.
        """
        planes = [points + [0, _APART * kind] for kind, points in enumerate(tissue)]
        target = np.concatenate(planes).astype(np.float32)
        free = np.flatnonzero(self.children[: self.count] < 2)[::2]  # every second node is dense enough
        cost, supplier = self._cheapest(target, free, 24)
        patience = np.zeros(len(target), np.int32)
        for _ in range(int(4.5 * spacing / STEP) + 14):
            pull = target - self.points[supplier]
            gap = np.hypot(pull[:, 0], pull[:, 1])
            keep = (gap > 0.75 * spacing) & (gap < 5.0 * spacing) & (patience < 10)
            target, cost, supplier, patience = (array[keep] for array in (target, cost, supplier, patience))
            if not len(target):
                return
            new = self._step(pull[keep] / gap[keep, None], supplier, draw)
            if not len(new):
                return
            lowest, cheapest = self._cheapest(target, new, 5)
            better = lowest < cost
            supplier[better], cost[better] = cheapest[better], lowest[better]
            patience = np.where(better, 0, patience + 1)

    def _cheapest(self, target: np.ndarray, nodes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Cost and index of the cheapest node for each target, among the ``count`` nearest nodes."""
        if len(nodes) <= count:
            near = np.broadcast_to(nodes, (len(target), len(nodes)))
        else:
            near = nodes[cKDTree(self.points[nodes], leafsize=16).query(target, k=count)[1]]
        costs = self._cost(target[:, None], near)
        best = costs.argmin(axis=1)
        rows = np.arange(len(target))
        return costs[rows, best], near[rows, best]

    def _cost(self, target: np.ndarray, node: np.ndarray) -> np.ndarray:
        """Cost of supplying targets from nodes: (1 + a) · distance − a · distance along the heading.

        On a straight stem the cost is lowest where the branch leaves at an angle whose cosine is a / (1 + a).
        """
        points, heading = self.points[node], _ACUTE * self.heading[node]
        x, y = target[..., 0] - points[..., 0], target[..., 1] - points[..., 1]
        cost = x * x
        cost += y * y
        np.sqrt(cost, out=cost)
        cost *= 1 + _ACUTE
        x *= heading[..., 0]
        y *= heading[..., 1]
        cost -= x
        cost -= y
        return np.asarray(cost)

    def _step(self, pull: np.ndarray, supplier: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Add one node to every node that attracts tissue, in the mean direction of its tissue points."""
        node, which = np.unique(supplier, return_inverse=True)
        summed = np.stack([np.bincount(which, pull[:, axis], len(node)) for axis in (0, 1)], axis=1)
        total = summed / (np.hypot(*summed.T)[:, None] + 1e-9)
        heading = self.heading[node]
        branching = self.children[node] > 0
        inertia = np.where(branching, 0.1, 1.2)[:, None]  # an end turns slowly, a branch leaves its stem
        move = total + inertia * heading + draw.normal(scale=0.14, size=heading.shape)
        move /= np.hypot(*move.T)[:, None] + 1e-9
        # Discard branches that would run along their own stem; no node gets more than two children.
        along = (move * heading).sum(axis=1)
        keep = (self.children[node] < 2) & ~(branching & (along > 0.93))
        node, move = node[keep], move[keep]
        points = self.points[node] + STEP * move
        clear = self._is_clear(points, node)
        node, move = node[clear], move[clear]
        return self.add(points[clear], move, node, self.kind[node])

    def _is_clear(self, points: np.ndarray, parent: np.ndarray) -> np.ndarray:
        """Whether vessels can grow to points, (m,): outside the avascular zone and clear of other vessels."""
        kind = self.kind[parent]
        from_fovea = np.hypot(points[:, 0], points[:, 1] - np.float32(_APART) * kind)
        column, row = _cells(points, kind)
        around = np.arange(-1, 2)
        columns, rows = column[:, None, None] + around[None, :, None], row[:, None, None] + around[None, None, :]
        near = self._occupant[kind[:, None, None], columns, rows].reshape(len(points), 9)
        gap = self.points[near] - points[:, None]
        other = (near >= 0) & (near != parent[:, None])
        meets = (other & (np.hypot(gap[..., 0], gap[..., 1]) < _CLEARANCE)).any(axis=1)
        return np.asarray(~meets & (from_fovea > self.avascular))


def _cells(points: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of the cell of each point, (m,) each; points beyond the grid belong to its rim."""
    x, y = points[:, 0], points[:, 1] - np.float32(_APART) * kind
    column, row = (np.clip(np.floor(at / _CELL).astype(int) + _CELLS // 2, 1, _CELLS - 2) for at in (x, y))
    return column, row
