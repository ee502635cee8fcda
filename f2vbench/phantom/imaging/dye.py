"""Dye kinetics: concentration and leakage as functions of time, and arrival times of every vessel.

Times are seconds after injection unless a docstring says otherwise. In the arteries the dye front moves along the
tree from the disc. The dye then passes the capillaries and enters the veins at every terminal node. A vein therefore
fills over seconds, and because flow is laminar it fills from its walls towards its axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from f2vbench.phantom.anatomy.tube_rasterizer import Tubes
from f2vbench.phantom.anatomy.vessels import ARTERY, VEIN, Vessels

FIRST_LAMINA = 1.28  # spreads before the mean at which a tenth of a vein's flow is dyed: first visible laminae
FIRST_STREAM = 2.4  # spreads before the mean at which the first dye arrives
_RISE = 6.0  # s from arrival to the peak of the first pass (chosen; videoangiographic curves: 4 to 8 s)
_SHAPE = 1.8  # exponent of the gamma variate (chosen)
_CAPILLARY_SPREAD = 1.3  # s, sd of the capillary transit time (chosen: veins fill within 3 to 6 s)
_SHORTEST_CAPILLARY = 0.4  # s
_REACH = 0.8  # mm: scale over which arrival times of neighbouring arteries are averaged


def concentration(seconds: np.ndarray) -> np.ndarray:
    """Dye concentration in blood ``seconds`` after the arrival, relative to the peak of the first pass.

    A gamma variate for the first pass (Thompson, Starmer, Whalen, McIntosh 1964, Circ Res 14:502), plus recirculating
    dye that leaves the plasma with a fast and a slow time constant.

    Args:
        seconds: Any shape, seconds after the arrival; the result is 0 for negative values.

    Returns:
        float32 of the same shape.
    """
    time = np.maximum(np.asarray(seconds, np.float32), 0)
    scaled = time / _RISE
    first_pass = scaled**_SHAPE * np.exp(_SHAPE * (1 - scaled))
    mixed = 0.42 * (1 - np.exp(-time / 9)) * (0.70 * np.exp(-time / 110) + 0.30 * np.exp(-time / 900))
    return np.asarray(first_pass + mixed)


def extravasated(seconds: float, delay: float = 90.0) -> float:
    """Amount of dye in the tissue around leaky vessels, ``seconds`` after the arrival; rises, then falls slowly.

    Args:
        seconds: Seconds after the arrival.
        delay: Time constant of the rise, seconds.
    """
    time = max(seconds, 0.0)
    return float((1 - np.exp(-time / delay)) * np.exp(-time / 2400))


def spread_of_leak(seconds: float) -> float:
    """Standard deviation of leaked dye, mm: diffusion, proportional to the square root of time."""
    return float(0.40 * np.sqrt(max(seconds, 0.0) / 600))


def leakage(source: np.ndarray, seconds: float) -> np.ndarray:
    """Brightness of tissue with leaked dye, in [0, 1).

    Vessels leak for minutes, so the total amount of dye grows while it spreads.

    Args:
        source: Leakage strength that reaches the tissue, any shape.
        seconds: Seconds after the arrival of the dye.
    """
    amount = 0.75 * extravasated(seconds, 45.0) * (1 + max(seconds, 0.0) / 500)
    return np.asarray(1 - np.exp(-amount * source))


@dataclass(frozen=True)
class Transit:
    """Dye arrival times of an eye with n vessel nodes, seconds after injection.

    Attributes:
        arrival: (n,) arrival at each node: of the dye front in arteries, mean over all streams in veins.
        spread: (n,) standard deviation over the streams of a vein, 0 in arteries.
        ends: (k, 2) mm, terminal nodes of the arteries.
        supplied: (k,) arrival at these nodes.
        capillary: Capillary transit time.
        artery_at_disc: Arrival in the arteries at the disc.
        first_lamina: First laminar flow in the main veins at the disc, median over the veins.
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
        """Arterio-venous passage time at the disc, seconds."""
        return self.first_lamina - self.artery_at_disc

    def at(self, points: np.ndarray) -> np.ndarray:
        """Arrival of the arterial dye at points (m, 2) mm, (m,) seconds."""
        gap = points[:, None, :].astype(np.float32) - self.ends[None].astype(np.float32)
        squared = (gap**2).sum(axis=2)
        weight = np.exp((squared.min(axis=1, keepdims=True) - squared) / (2 * _REACH**2))
        return np.asarray(weight @ self.supplied.astype(np.float32) / weight.sum(axis=1))


def simulate_transit(vessels: Vessels, values: Mapping[str, float]) -> Transit:
    """Compute the arrival times of an eye's vessels from its drawn quantities.

    The capillary transit time is set so that laminar flow appears in the main veins at the disc one `passage_time`
    after the dye in the arteries, as video angiography measures it (Wolf, Arend, Reim 1994, Surv Ophthalmol 38
    suppl.).

    Args:
        vessels: Vessel trees.
        values: Drawn quantities by their names in `quantities`.
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
    """Transit time of blood through the segment between each node and its parent, (n,) seconds; 0 at roots.

    The drawn velocities are those of the main vessels. Flow is proportional to the number of terminal nodes that a
    vessel serves, and velocity is flow divided by cross-section. With Murray's radii the velocity falls with the
    calibre (Riva et al. 1985), here to no less than a fifth, and flow in a congested, wider vein is slow.

    Args:
        vessels: Vessel trees with n nodes.
        values: Drawn quantities by their names in `quantities`.
    """
    exponent = values["branching_exponent"]
    above = np.maximum(vessels.parent, 0)
    length = np.hypot(*(vessels.points - vessels.points[above]).T)
    seconds = np.zeros(len(length))
    for kind, name in ((ARTERY, "artery"), (VEIN, "vein")):
        selected = vessels.kind == kind
        if not selected.any():
            continue
        relative = vessels.radius[selected] / (values[f"{name}_diameter"] / 2000)
        by_supply = vessels.supply[selected] ** (1 / exponent)
        flow = (by_supply * np.median(relative / by_supply)) ** exponent
        seconds[selected] = length[selected] / (values[f"{name}_velocity"] * np.clip(flow / relative**2, 0.2, 1.0))
    return np.asarray(np.where(vessels.parent >= 0, seconds, 0.0))


def arterial_arrival(parent: np.ndarray, seconds: np.ndarray, start: float) -> np.ndarray:
    """Arrival of the dye front at each node, (n,) seconds.

    Args:
        parent: (n,) index of each node's parent, -1 at a root.
        seconds: (n,) transit time of each node's segment.
        start: Time at which the front leaves the roots.
    """
    arrival, transit_times = [start] * len(parent), seconds.tolist()
    for node, above in enumerate(parent.tolist()):
        if above >= 0:
            arrival[node] = arrival[above] + transit_times[node]
    return np.asarray(arrival)


def venous_arrival(parent: np.ndarray, seconds: np.ndarray, supplied: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (n,) each, of the arrival of all streams at each node.

    Every terminal node carries the same flow. Streams run side by side without mixing, so each keeps its own arrival.

    Args:
        parent: (n,) index of each node's parent, -1 at a root.
        seconds: (n,) transit time of each node's segment, towards the parent.
        supplied: (n,) arrival of the dye at the terminal nodes; other values are ignored.
    """
    count = len(parent)
    flow, first, second = [0.0] * count, [0.0] * count, [0.0] * count
    above, transit_times, arrivals = parent.tolist(), seconds.tolist(), supplied.tolist()
    for node in range(count - 1, -1, -1):
        if not flow[node]:
            flow[node], first[node] = 1.0, arrivals[node]
            second[node] = arrivals[node] ** 2 + _CAPILLARY_SPREAD**2
        if above[node] >= 0:
            # First and second moment of the arrivals, shifted by the transit time of this segment.
            time = transit_times[node]
            flow[above[node]] += flow[node]
            first[above[node]] += first[node] + time * flow[node]
            second[above[node]] += second[node] + 2 * time * first[node] + time**2 * flow[node]
    mean = np.asarray(first) / flow
    return mean, np.sqrt(np.maximum(np.asarray(second) / flow - mean**2, 0))


def filled_share(seconds: float, arrival: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Fraction of a vein's flow that carries dye, in [0, 1]: a logistic curve with mean and spread of its streams.

    Args:
        seconds: Time after injection.
        arrival: Mean arrival of the streams, any shape.
        spread: Standard deviation of the arrivals, of the same shape.
    """
    return np.asarray(1 / (1 + np.exp(np.clip(1.81 * (arrival - seconds) / np.maximum(spread, 1e-3), -30, 30))))


def laminar_depth(tubes: Tubes, share: np.ndarray) -> np.ndarray:
    """Depth of dye over each pixel when it fills the outer ``share`` of the flow, (m,) px.

    Dye from side branches and short paths flows along the walls. The undyed core has 1 − share of the cross-section,
    thus the relative radius √(1 − share). The depth is the chord through the shell: two bright lines first, later a
    full column.

    Args:
        tubes: Veins on m pixels.
        share: (m,) dyed fraction of the flow, 0 to 1.
    """
    core = replace(tubes, radius=np.maximum(tubes.radius * np.sqrt(1 - share), 1e-3).astype(np.float32))
    return np.asarray(tubes.depth() - core.depth())
