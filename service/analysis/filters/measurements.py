"""Measurements of first-layer filters: what each filter of a convolution responds to, read from its weights alone.

Pure NumPy on arrays (filters, channels of a group, *kernel). Every quantity, its unit and its source stand in docs/filters.md.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from service.analysis.filters import spectrum as spectra
from service.faults import refused_at
from service.options import ChannelOrder

Values = NDArray[np.float64]
Label = Literal["edge", "colour-edge", "colour-blob", "blob", "noise", "dead", "not-finite"]
LABELS: tuple[Label, ...] = get_args(Label)

# A filter is dead when its norm is a hundredth (−40 dB) of the layer's median norm or less.
DEAD_SHARE = 0.01
# |cosine| from which two filters are duplicates: 18 degrees apart, at most a tenth of the energy differs.
DUPLICATE_COSINE = 0.95
# Coloured: more energy off the grey axis than on it.
COLOURED = 0.5
# Oriented: twice as much energy along the preferred direction as at right angles, (1 + z)/(1 − z) = 2.
ORIENTED = 1 / 3
# Band-pass: the response to even brightness is below half of the largest.
BALANCED = 0.5
# Noise, where a filter is not oriented: its energy is spread over this share of all frequencies, this share of its taps, and lies for the
# most part at high frequencies.
FLAT = 0.4
SPREAD = 0.25
ROUGH = 0.5

# Weights of a kernel that is measured: 16 Mi, 128 MiB as float64.
MAX_WEIGHTS = 1 << 24
# Complex values of one filter's transform (a colour kernel of 800 × 800 has as many), and of as many filters as are worked on at a time.
MAX_TRANSFORM = 1 << 22
CHUNK = 1 << 21


@dataclass(frozen=True, slots=True)
class FilterMeasurement:
    """One filter's measurements; None where a quantity is not defined for it, as docs/filters.md says.

    `norm` and `mean` are of the weights; shares lie in 0..1; `orientation` is in degrees, `frequency` in cycles per pixel, `bandwidth` in
    octaves; `nearest` is the filter of the same group with the largest |cosine|, `similarity` that cosine with its sign.
    """

    index: int
    label: Label
    norm: float | None
    mean: float | None
    colour_share: float | None
    orientation: float | None
    selectivity: float | None
    frequency: float | None
    bandwidth: float | None
    zero_response: float | None
    even_share: float | None
    high_frequency_share: float | None
    flatness: float | None
    spread: float | None
    dead: bool
    finite: bool
    nearest: int | None
    similarity: float | None
    duplicate: bool


@dataclass(frozen=True, slots=True)
class LayerFilters:
    """The measurements of all filters of a layer: `kernel` its size, `channels` those of one group."""

    filters: tuple[FilterMeasurement, ...]
    kernel: tuple[int, ...]
    channels: int
    groups: int
    channel_order: ChannelOrder

    def rows(self) -> list[dict[str, object]]:
        """One flat object per filter, for JSON and CSV alike."""
        return [asdict(item) for item in self.filters]


def measure_filters(
    kernel: NDArray[np.floating], *, groups: int = 1, channel_order: ChannelOrder = "rgb", tolerance: float = 0.0
) -> LayerFilters:
    """The measurements of `kernel` (filters, channels of a group, *kernel) with one to three kernel axes.

    A filter is dead when its norm is at most `tolerance` or DEAD_SHARE of the median norm; a dead filter and one with a value that is not
    finite have no pattern, so their other quantities are None. Colour is measured where a two- or three-dimensional filter reads three
    channels. No measure depends on `channel_order`; it is kept for whoever shows the result.
    Raises Refused where the kernel has more than MAX_WEIGHTS weights, none, or no such shape.
    """
    check_kernel(kernel.shape, groups)
    norm, mean, unit = _normed(kernel)
    finite = np.isfinite(norm)
    lively = norm[finite & (norm > tolerance)]
    dead = finite & (norm <= max(tolerance, DEAD_SHARE * float(np.median(lively)) if lively.size else 0.0))
    unit[dead] = 0
    pattern = _pattern(unit, coloured=kernel.shape[1] == 3 and kernel.ndim >= 4)
    labels = np.where(finite, np.where(dead, "dead", _labels(pattern)), "not-finite")
    nearest, similarity = _nearest(unit.reshape(groups, len(kernel) // groups, -1))
    known = {"norm": norm, "mean": mean} | {name: np.where(finite & ~dead, values, np.nan) for name, values in pattern.items()}
    numbers = {name: [None if np.isnan(value) else float(value) for value in values] for name, values in known.items()}

    def measurement(index: int) -> FilterMeasurement:
        """The measurements of one filter, taken out of the arrays over all."""
        found = nearest[index] >= 0
        return FilterMeasurement(
            index=index,
            label=cast(Label, str(labels[index])),
            dead=bool(dead[index]),
            finite=bool(finite[index]),
            nearest=int(nearest[index]) if found else None,
            similarity=float(similarity[index]) if found else None,
            duplicate=bool(found and abs(similarity[index]) >= DUPLICATE_COSINE),
            **{name: values[index] for name, values in numbers.items()},
        )

    return LayerFilters(
        filters=tuple(measurement(index) for index in range(len(kernel))),
        kernel=tuple(kernel.shape[2:]),
        channels=kernel.shape[1],
        groups=groups,
        channel_order=channel_order,
    )


def check_kernel(shape: tuple[int, ...], groups: int) -> None:
    """Raises Refused where filters of this shape, (filters, channels of a group, *kernel), can be neither measured nor drawn."""
    weights = math.prod(shape)
    if not 3 <= len(shape) <= 5 or weights == 0:
        raise refused_at("", "no-filters", f"a kernel of shape {shape} is not one of filters with one to three spatial axes")
    if groups < 1 or shape[0] % groups:
        raise refused_at("", "no-filters", f"{shape[0]} filters do not divide into {groups} groups")
    if weights > MAX_WEIGHTS:
        raise refused_at("", "kernel-too-large", f"the kernel's {weights} weights are more than the {MAX_WEIGHTS} that are measured")
    if _transform_values(shape) > MAX_TRANSFORM:
        raise refused_at("", "kernel-too-large", f"the spectrum of a filter of shape {shape[1:]} is larger than what is measured")


def _transform_values(shape: tuple[int, ...]) -> int:
    """Complex values of the spectrum of one filter: no more channels than taps are transformed."""
    _, channels, *size = shape
    return min(channels, math.prod(size)) * spectra.transform_size(tuple(size))


def _normed(kernel: NDArray[np.floating]) -> tuple[Values, Values, Values]:
    """L2 norm and mean of each filter's weights, and the filters at norm 1; NaN, NaN and zeros where a weight is not finite."""
    unit = kernel.astype(np.float64, order="C")
    flat = unit.reshape(len(unit), -1)
    finite = np.isfinite(flat).all(axis=1)
    flat[~finite] = 0
    # Scaled by the largest weight first: the square of a very large or very small double leaves the range.
    largest = np.abs(flat).max(axis=1)
    flat /= np.where(largest > 0, largest, 1)[:, None]
    length = np.linalg.norm(flat, axis=1)
    mean = flat.mean(axis=1) * largest
    flat /= np.where(length > 0, length, 1)[:, None]
    with np.errstate(over="ignore"):
        # The norm of the largest doubles is past them all.
        norm = np.minimum(length * largest, np.finfo(np.float64).max)
    return np.where(finite, norm, np.nan), np.where(finite, mean, np.nan), unit


def _pattern(unit: Values, coloured: bool) -> dict[str, Values]:
    """The quantities that do not depend on a filter's scale, each (filters,), NaN where not defined."""
    filters = len(unit)
    each = max(1, CHUNK // max(_transform_values(unit.shape), spectra.ray_size(unit.shape[2:])))
    parts = [_tuning(unit[start : start + each]) for start in range(0, filters, each)]
    pattern = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    flipped = np.flip(unit, axis=tuple(range(2, unit.ndim)))
    # ‖(w + w̃)/2‖² = (1 + ⟨w, w̃⟩)/2 for the mirrored filter w̃ of a filter of norm 1.
    pattern["even_share"] = (1 + np.einsum("fn,fn->f", unit.reshape(filters, -1), flipped.reshape(filters, -1))) / 2
    taps = (unit**2).sum(axis=1).reshape(filters, -1)
    pattern["spread"] = spectra.participation(taps, np.ones(taps.shape[1]))
    pattern["colour_share"] = colour_share(unit) if coloured else np.full(filters, np.nan)
    return pattern


def _tuning(unit: Values) -> dict[str, Values]:
    """What the spatial spectrum tells: orientation, frequency and how far the energy is spread."""
    spectrum = spectra.spectrum_of(unit)
    peak, frequency = spectra.dominant_frequency(spectrum)
    nothing = np.full(len(unit), np.nan)
    # A filter with one axis to vary along has no orientation to choose, and one with three more than an angle.
    plane = unit.ndim == 4 and min(unit.shape[2:]) > 1
    degrees, selectivity = spectra.orientation(spectrum) if plane else (nothing, nothing)
    return {
        "orientation": degrees,
        "selectivity": selectivity,
        "frequency": frequency,
        "zero_response": spectra.zero_response(spectrum),
        "bandwidth": spectra.bandwidth(unit, peak),
        "high_frequency_share": spectra.high_frequency_share(spectrum),
        "flatness": spectra.flatness(spectrum),
    }


def colour_share(kernel: Values) -> Values:
    """Share of the energy of (filters, 3, *kernel) that lies off the grey axis, (filters,); NaN for a filter of zeros.

    In the orthonormal opponent space O1 = (R − G)/√2, O2 = (R + G − 2B)/√6, O3 = (R + G + B)/√3 (van de Sande, Gevers & Snoek,
    IEEE PAMI 32, 2010, 1582–1596) that is (O1² + O2²) / (O1² + O2² + O3²), the same in whichever order the channels are stored.
    """
    energy = (kernel**2).sum(axis=tuple(range(1, kernel.ndim)))
    grey = (kernel.sum(axis=1) ** 2 / 3).sum(axis=tuple(range(1, kernel.ndim - 1)))
    share = np.divide(grey, energy, out=np.full_like(energy, np.nan), where=energy > 0)
    # Rounding may carry a grey filter a hair past 1.
    return np.asarray(np.clip(1 - share, 0, 1), np.float64)


def _labels(pattern: dict[str, Values]) -> NDArray[np.str_]:
    """The label of each filter that is neither dead nor without finite values; the order of the questions is that of docs/filters.md."""
    coloured = pattern["colour_share"] >= COLOURED
    # Without a plane to be oriented in, an edge is a filter that answers to change alone: its response is band-pass.
    plane = ~np.isnan(pattern["selectivity"])
    oriented = np.where(plane, pattern["selectivity"] >= ORIENTED, pattern["zero_response"] < BALANCED)
    noise = (pattern["flatness"] >= FLAT) & (pattern["spread"] >= SPREAD) & (pattern["high_frequency_share"] >= ROUGH)
    return np.select(
        [plane & oriented & coloured, plane & oriented, noise, oriented & coloured, oriented, coloured],
        ["colour-edge", "edge", "noise", "colour-edge", "edge", "colour-blob"],
        "blob",
    )


def _nearest(unit: Values) -> tuple[NDArray[np.int_], Values]:
    """For every filter of (groups, filters, weights) at norm 1 the filter of its group with the largest |cosine|, and that cosine.

    −1 where it is alone, or where either is dead (all zeros). Ties go to the lowest index.
    """
    groups, filters, _ = unit.shape
    nearest = np.full((groups, filters), -1)
    similarity = np.zeros((groups, filters))
    step = max(1, CHUNK // (groups * filters))
    for start in range(0, filters, step):
        cosine = unit[:, start : start + step] @ unit.transpose(0, 2, 1)
        rows = np.arange(cosine.shape[1])
        cosine[:, rows, rows + start] = 0
        best = np.abs(cosine).argmax(axis=2)
        value = np.take_along_axis(cosine, best[..., None], axis=2)[..., 0]
        found = value != 0
        nearest[:, start : start + step][found] = (best + filters * np.arange(groups)[:, None])[found]
        similarity[:, start : start + step] = np.clip(value, -1, 1)
    return nearest.ravel(), similarity.ravel()
