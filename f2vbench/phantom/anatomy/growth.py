"""How a vessel tree grows: tissue without supply calls the vessel that can reach it at the least cost.

Space colonisation (Runions, Lane, Prusinkiewicz 2007, Eurographics Workshop on Natural Phenomena), with a cost
that lets branches leave at an acute angle, as vessels do, instead of taking the shortest way.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

ARTERY, VEIN = 0, 1
STEP = 0.13  # mm between nodes
_ACUTE = 1.5  # weight of going on ahead: cheapest to leave a straight stem at 53°; inertia makes it less
_APART = 1000.0  # mm between the planes in which arteries and veins grow, so that tissue never calls the other kind


class Forest:
    """Growing nodes in buffers that double."""

    def __init__(self) -> None:
        self.count = 0
        self.points = np.zeros((4096, 2), np.float32)
        self.heading = np.zeros((4096, 2), np.float32)
        self.parent = np.full(4096, -1)
        self.children = np.zeros(4096, np.int32)
        self.kind = np.zeros(4096, np.int8)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (n, 2) mm, parents (n,) and kinds (n,) of all nodes."""
        kind = self.kind[: self.count].copy()
        points = self.points[: self.count].astype(float)
        points[:, 1] -= _APART * kind
        return points, self.parent[: self.count].copy(), kind

    def add(self, points: np.ndarray, heading: np.ndarray, parent: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """New nodes; returns their indices."""
        end = self.count + len(points)
        while end > len(self.points):
            for name in ("points", "heading", "parent", "children", "kind"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.full_like(old, -1 if name == "parent" else 0)]))
        new = np.arange(self.count, end)
        self.points[new], self.heading[new], self.parent[new], self.kind[new] = points, heading, parent, kind
        np.add.at(self.children, parent[parent >= 0], 1)
        self.count = end
        return new

    def add_trunk(self, line: np.ndarray, kind: int) -> None:
        heading = np.gradient(line, axis=0)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        parent = np.arange(self.count - 1, self.count - 1 + len(line))
        parent[0] = -1
        self.add(line + [0, _APART * kind], heading, parent, np.full(len(line), kind))

    def colonise(self, tissue: list[np.ndarray], spacing: float, draw: np.random.Generator) -> None:
        """Grow towards tissue points (mm) of each kind until each is reached or can't be."""
        planes = [points + [0, _APART * kind] for kind, points in enumerate(tissue)]
        target = np.concatenate(planes).astype(np.float32)
        free = np.flatnonzero(self.children[: self.count] < 2)[::2]  # every other node is near enough to choose from
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
        """Cost and index of the cheapest node for each target, of the ``count`` nearest ones."""
        if len(nodes) <= count:
            near = np.broadcast_to(nodes, (len(target), len(nodes)))
        else:
            near = nodes[cKDTree(self.points[nodes], leafsize=16).query(target, k=count)[1]]
        offered = self._cost(target[:, None], near)
        best = offered.argmin(axis=1)
        rows = np.arange(len(target))
        return offered[rows, best], near[rows, best]

    def _cost(self, target: np.ndarray, node: np.ndarray) -> np.ndarray:
        """What it takes to supply targets from nodes: (1 + a) · distance − a · distance ahead.

        On a straight stem it is least where the branch leaves at an angle whose cosine is a / (1 + a).
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
        """One step from every node that some tissue calls, into the mean direction of the calls."""
        caller, which = np.unique(supplier, return_inverse=True)
        summed = np.stack([np.bincount(which, pull[:, axis], len(caller)) for axis in (0, 1)], axis=1)
        total = summed / (np.hypot(*summed.T)[:, None] + 1e-9)
        heading = self.heading[caller]
        branching = self.children[caller] > 0
        inertia = np.where(branching, 0.45, 1.2)[:, None]  # an end turns gently, a branch leaves its stem
        move = total + inertia * heading + draw.normal(scale=0.14, size=heading.shape)
        move /= np.hypot(*move.T)[:, None] + 1e-9
        # A branch along its own stem is no branch, and no node has more than two children.
        along = (move * heading).sum(axis=1)
        keep = (self.children[caller] < 2) & ~(branching & (along > 0.93))
        caller, move = caller[keep], move[keep]
        return self.add(self.points[caller] + STEP * move, move, caller, self.kind[caller])
