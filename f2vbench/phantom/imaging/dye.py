"""How dye comes into the retina, stays, and leaks: functions of time, and the times of every vessel.

All seconds are counted from the injection unless a docstring says otherwise. In the arteries dye follows the
tree from the disc; it crosses the capillaries; in the veins it comes from every end, so a vein fills over
seconds, and because flow is laminar it fills from its walls towards its axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from f2vbench.phantom.anatomy.tube_rasterizer import Tubes
from f2vbench.phantom.anatomy.vessels import ARTERY, VEIN, Vessels

FIRST_LAMINA = 1.28  # spreads before the mean at which a tenth of a vein's flow is dyed: its first visible lines
FIRST_STREAM = 2.4  # spreads before the mean at which the very first dye comes
_RISE = 6.0  # s from arrival to the peak of the first pass (chosen; videoangiographic curves: 4 to 8 s)
_SHAPE = 1.8  # exponent of the gamma variate (chosen)
_CAPILLARY_SPREAD = 1.3  # s, sd of transit through neighbouring capillaries (chosen: veins fill within 3 to 6 s)
_SHORTEST_CAPILLARY = 0.4  # s
_REACH = 0.8  # mm over which neighbouring arteries decide when tissue is reached


def concentration(seconds: np.ndarray) -> np.ndarray:
    """Dye in blood at ``seconds`` after its arrival, relative to the peak of the first pass; 0 before it.

    A gamma variate for the first pass (Thompson, Starmer, Whalen, McIntosh 1964, Circ Res 14:502), and mixed dye
    that recirculates and leaves the plasma with a fast and a slow time constant.
    """
    time = np.maximum(np.asarray(seconds, np.float32), 0)
    scaled = time / _RISE
    first_pass = scaled**_SHAPE * np.exp(_SHAPE * (1 - scaled))
    mixed = 0.42 * (1 - np.exp(-time / 9)) * (0.70 * np.exp(-time / 110) + 0.30 * np.exp(-time / 900))
    return np.asarray(first_pass + mixed)


def extravasated(seconds: float, delay: float = 90.0) -> float:
    """Dye that has left fenestrated or damaged vessels into tissue, ``seconds`` after arrival: rises, falls late."""
    time = max(seconds, 0.0)
    return float((1 - np.exp(-time / delay)) * np.exp(-time / 2400))


def spread_of_leak(seconds: float) -> float:
    """How far leaked dye has spread, mm (standard deviation): diffusion, so it grows with the root of time."""
    return float(0.40 * np.sqrt(max(seconds, 0.0) / 600))


def leakage(source: np.ndarray, seconds: float) -> np.ndarray:
    """Brightness in [0, 1) of tissue from the leak strength that reaches it, ``seconds`` after arrival.

    Dye goes on leaking for minutes, so a leak grows although it spreads thinner.
    """
    amount = 0.75 * extravasated(seconds, 45.0) * (1 + max(seconds, 0.0) / 500)
    return np.asarray(1 - np.exp(-amount * source))


@dataclass(frozen=True)
class Transit:
    """When dye is where, in seconds after injection.

    Attributes:
        arrival: (n,) of the vessels' nodes: the front in arteries, the mean of all streams in veins.
        spread: (n,) standard deviation over the streams of a vein, 0 in arteries.
        ends: (k, 2) mm, where arteries end in capillaries.
        supplied: (k,) arrival there.
        capillary: seconds from an artery's end to a vein's.
        artery_at_disc: arrival at the disc.
        first_lamina: the first lines along the main veins at the disc, the median of the veins.
    """

    arrival: np.ndarray
    spread: np.ndarray
    ends: np.ndarray
    supplied: np.ndarray
    capillary: float
    artery_at_disc: float
    first_lamina: float

    @property
    def passage(self) -> float:
        """Arterio-venous passage time at the disc, s."""
        return self.first_lamina - self.artery_at_disc

    def at(self, points: np.ndarray) -> np.ndarray:
        """When the arteries have supplied places (m, 2), (m,) s."""
        gap = points[:, None, :].astype(np.float32) - self.ends[None].astype(np.float32)
        squared = (gap**2).sum(axis=2)
        weight = np.exp((squared.min(axis=1, keepdims=True) - squared) / (2 * _REACH**2))
        return np.asarray(weight @ self.supplied.astype(np.float32) / weight.sum(axis=1))


def simulate_transit(vessels: Vessels, values: Mapping[str, float]) -> Transit:
    """The times of an eye's vessels from its drawn quantities.

    The capillary time is what makes the main veins show their first lamina one `passage_time` after the arteries
    at the disc, as video angiography measures it (Wolf, Arend, Reim 1994, Surv Ophthalmol 38 suppl.).
    """
    seconds = piece_seconds(vessels, values)
    start = values["arm_to_choroid"] + values["artery_delay"]
    front = arterial_arrival(vessels.parent, seconds, start)
    has_child = np.zeros(len(front), bool)
    has_child[vessels.parent[vessels.parent >= 0]] = True
    artery_end, vein_end = (np.flatnonzero(~has_child & (vessels.kind == kind)) for kind in (ARTERY, VEIN))
    unshifted = Transit(front, np.zeros(len(front)), vessels.points[artery_end], front[artery_end], 0.0, start, start)
    supplied = np.zeros(len(front))
    supplied[vein_end] = unshifted.at(vessels.points[vein_end])
    mean, spread = venous_arrival(vessels.parent, seconds, supplied)
    roots = (vessels.kind == VEIN) & (vessels.parent < 0)
    first = float(np.median(mean[roots] - FIRST_LAMINA * spread[roots]))
    capillary = max(_SHORTEST_CAPILLARY, values["passage_time"] - (first - start))
    vein = vessels.kind == VEIN
    return replace(
        unshifted,
        arrival=np.where(vein, mean + capillary, front),
        spread=np.where(vein, spread, 0.0),
        capillary=capillary,
        first_lamina=first + capillary,
    )


def piece_seconds(vessels: Vessels, values: Mapping[str, float]) -> np.ndarray:
    """(n,) seconds that blood needs for each node's piece of vessel, between it and its parent; 0 at roots.

    The drawn velocities are those of the main vessels. A vessel's flow is as many times smaller as the ends it
    serves are fewer, and its velocity is flow over section: with Murray's radii velocity falls with calibre (Riva et
    al. 1985), here to a fifth at most, and a congested, wider vein is slow.
    """
    exponent = values["branching_exponent"]
    above = np.maximum(vessels.parent, 0)
    length = np.hypot(*(vessels.points - vessels.points[above]).T)
    seconds = np.zeros(len(length))
    for kind, name in ((ARTERY, "artery"), (VEIN, "vein")):
        mine = vessels.kind == kind
        if not mine.any():
            continue
        relative = vessels.radius[mine] / (values[f"{name}_diameter"] / 2000)
        by_supply = vessels.supply[mine] ** (1 / exponent)
        flow = (by_supply * np.median(relative / by_supply)) ** exponent
        seconds[mine] = length[mine] / (values[f"{name}_velocity"] * np.clip(flow / relative**2, 0.2, 1.0))
    return np.asarray(np.where(vessels.parent >= 0, seconds, 0.0))


def arterial_arrival(parent: np.ndarray, seconds: np.ndarray, start: float) -> np.ndarray:
    """(n,) arrival of the front that leaves the roots at ``start`` and needs ``seconds`` for each node's piece."""
    arrival, needed = [start] * len(parent), seconds.tolist()
    for node, above in enumerate(parent.tolist()):
        if above >= 0:
            arrival[node] = arrival[above] + needed[node]
    return np.asarray(arrival)


def venous_arrival(parent: np.ndarray, seconds: np.ndarray, supplied: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (n,) each, of the arrival of all streams at each node.

    Every end carries the same flow; streams run side by side, so each keeps its own arrival.

    Args:
        seconds: (n,) for each node's piece, run through towards the parent.
        supplied: (n,) when dye reaches the ends; not read elsewhere.
    """
    count = len(parent)
    flow, first, second = [0.0] * count, [0.0] * count, [0.0] * count
    above, needed, given = parent.tolist(), seconds.tolist(), supplied.tolist()
    for node in range(count - 1, -1, -1):
        if not flow[node]:
            flow[node], first[node] = 1.0, given[node]
            second[node] = given[node] ** 2 + _CAPILLARY_SPREAD**2
        if above[node] >= 0:
            # Moments of the arrivals, all later by the time on this piece.
            flow[above[node]] += flow[node]
            first[above[node]] += first[node] + needed[node] * flow[node]
            second[above[node]] += second[node] + 2 * needed[node] * first[node] + needed[node] ** 2 * flow[node]
    mean = np.asarray(first) / flow
    return mean, np.sqrt(np.maximum(np.asarray(second) / flow - mean**2, 0))


def filled_share(seconds: float, arrival: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Share of a vein's flow that carries dye, in [0, 1]: a logistic curve with the mean and spread of its streams."""
    return np.asarray(1 / (1 + np.exp(np.clip(1.81 * (arrival - seconds) / np.maximum(spread, 1e-3), -30, 30))))


def laminar_depth(tubes: Tubes, share: np.ndarray) -> np.ndarray:
    """Depth of dye over each touched pixel when it fills the outer ``share`` of the flow, (m,) px.

    Dye from side branches and quick paths joins along the walls; the undyed core holds 1 − share of the section,
    thus a radius of √(1 − share). What is seen is the chord through the shell: two bright lines, then a full column.
    """
    core = replace(tubes, radius=np.maximum(tubes.radius * np.sqrt(1 - share), 1e-3).astype(np.float32))
    return np.asarray(tubes.depth() - core.depth())
