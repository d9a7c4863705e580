"""What a whole layer of filters has learned: shares of each kind, histograms, and a few plain sentences."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Any

import numpy as np

from service.analysis.filters.measurements import LABELS, FilterMeasurement, Label, LayerFilters

# Directions a histogram tells apart, centred on 0°, 15° … 165°, and the edges of its frequencies in cycles per pixel. The last bin holds
# what lies on the diagonals beyond Nyquist's 0.5 along an axis: up to √½ in two dimensions, √¾ in three.
DIRECTIONS = 12
FREQUENCY_EDGES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.9)
# Edges whose median colour share is at most this nearly ignore colour; chance alone gives 2/3.
NEARLY_GREY = 0.25

NAMES: dict[Label, tuple[str, str]] = {
    "edge": ("oriented edge", "oriented edges"),
    "colour-edge": ("coloured edge", "coloured edges"),
    "colour-blob": ("colour blob", "colour blobs"),
    "blob": ("blob", "blobs"),
    "noise": ("noise filter", "noise filters"),
    "dead": ("dead filter", "dead filters"),
    "not-finite": ("filter with values that are not finite", "filters with values that are not finite"),
}


def describe_filters(measured: LayerFilters, layer: str = "") -> dict[str, Any]:
    """The layer's measurements as plain JSON data: counts and shares of the labels, histograms, sentences, and one object per filter.

    `colour_share` is that of the layer's whole energy. The orientation histogram counts edges of either kind, the frequency histogram
    every filter that has a frequency.
    """
    filters = measured.filters
    counts = Counter(item.label for item in filters)
    edges = [item.orientation for item in filters if item.label in ("edge", "colour-edge") and item.orientation is not None]
    frequencies = [item.frequency for item in filters if item.frequency is not None]
    return {
        "layer": layer,
        "count": len(filters),
        "kernel": list(measured.kernel),
        "channels": measured.channels,
        "groups": measured.groups,
        "channel_order": measured.channel_order,
        "labels": {label: counts[label] for label in LABELS},
        "shares": {label: counts[label] / len(filters) for label in LABELS},
        "duplicates": sum(item.duplicate for item in filters),
        "colour_share": layer_colour_share(measured),
        "orientations": {"degrees": [180 * at / DIRECTIONS for at in range(DIRECTIONS)], "counts": orientation_histogram(edges)},
        "frequencies": {"edges": list(FREQUENCY_EDGES), "counts": np.histogram(frequencies, FREQUENCY_EDGES)[0].tolist()},
        "summary": summary(measured),
        "filters": measured.rows(),
    }


def layer_colour_share(measured: LayerFilters) -> float | None:
    """Share of the energy of all filters that lies off the grey axis; None where the layer has no colour."""
    parts = [(item.norm, item.colour_share) for item in measured.filters if item.norm and item.colour_share is not None]
    if not parts:
        return None
    # Norms relative to the largest, whose square may leave the range.
    largest = max(norm for norm, _ in parts)
    weights = [(norm / largest) ** 2 for norm, _ in parts]
    return sum(weight * share for weight, (_, share) in zip(weights, parts, strict=True)) / sum(weights)


def orientation_histogram(degrees: list[float]) -> list[int]:
    """Counts per direction; a bin is centred on its direction, so that 179° and 1° both count as horizontal."""
    step = 180 / DIRECTIONS
    bins = Counter(int(angle / step + 0.5) % DIRECTIONS for angle in degrees)
    return [bins[at] for at in range(DIRECTIONS)]


def summary(measured: LayerFilters) -> str:
    """The layer in plain words."""
    filters = measured.filters
    counts = Counter(item.label for item in filters)
    # Without a plane there is nothing to be oriented in.
    oriented = any(item.orientation is not None for item in filters)
    names = NAMES if oriented else NAMES | {"edge": ("edge", "edges")}
    kinds = [f"{counts[label]} {names[label][counts[label] > 1]} ({counts[label] / len(filters):.0%})" for label in LABELS if counts[label]]
    size = "×".join(str(length) for length in measured.kernel)
    what = f"{len(filters)} filter{'s' * (len(filters) > 1)} of {size} over {measured.channels} channel{'s' * (measured.channels > 1)}"
    sentences = [f"{what}: {_listed(kinds)}."]
    edges = [item for item in filters if item.label in ("edge", "colour-edge")]
    if 2 * counts["noise"] >= len(filters):
        sentences.append("Most filters look like noise: the layer is untrained, under-trained or was never made to be smooth.")
    elif 2 * len(edges) >= len(filters):
        sentences.append(_on_edges(edges))
    elif 2 * (counts["colour-blob"] + counts["colour-edge"]) >= len(filters):
        sentences.append("Most filters respond to colour.")
    repeated = sum(item.duplicate for item in filters)
    if repeated:
        sentences.append(f"{repeated} filters repeat another up to sign and scale.")
    return " ".join(sentences)


def _on_edges(edges: list[FilterMeasurement]) -> str:
    """What a layer made of edges has chosen: directions, and colour or not."""
    grey = [item.colour_share for item in edges if item.colour_share is not None]
    angles = [item.orientation for item in edges if item.orientation is not None]
    said = "The layer chooses orientation first"
    if not angles:
        said = "The layer answers to change first"
    elif (covered := sum(count > 0 for count in orientation_histogram(angles))) > 1:
        said += f", in {covered} of {DIRECTIONS} directions"
    if not grey:
        return f"{said}."
    share = median(grey)
    colour = "nearly ignores colour there" if share <= NEARLY_GREY else "does so in colour"
    return f"{said}, and {colour} (median colour share of its edges {share:.2f})."


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
