"""The spatial spectrum of filters: where in frequency and direction their energy lies. Pure functions on arrays, vectorised over filters.

A filter's frequency response is its Fourier transform; its power is summed over the channels it reads. The transform is taken with zero
padding to a grid of an odd number of frequencies per axis, so that by Parseval's theorem the powers add up to the filter's energy
exactly, and no frequency stands for two directions (as the Nyquist frequency of an even grid does).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Frequencies per axis: at least this many (33: steps of 0.03 cycles per pixel), and twice the kernel for long kernels.
GRID = {1: 129, 2: 33, 3: 17}
# High frequency: above half of Nyquist's 0.5 cycles per pixel. White noise in two dimensions has 1 − π/16 = 0.80 of its energy there.
HIGH_FREQUENCY = 0.25
# Steps from frequency zero to Nyquist's on which the half-amplitude points are found.
RADIAL_STEPS = 64
# Complex values of the waves of one filter that are held at a time (32 MiB); only of a filter of 32,000 taps in a row there are more.
MOST_WAVES = 1 << 21


@dataclass(frozen=True, slots=True)
class Spectrum:
    """`power` (filters, frequencies) with `frequency` (frequencies, axes) in cycles per pixel, zero first.

    Only one of each pair ±f is kept, whose powers are equal; `count` (frequencies,) is the number of frequencies that each stands for,
    1 or 2, and power · count sums to the filter's energy.
    """

    power: Values
    frequency: Values
    count: Values

    @property
    def radius(self) -> Values:
        """|frequency| (frequencies,) in cycles per pixel."""
        return np.asarray(np.linalg.norm(self.frequency, axis=1), np.float64)


def transform_size(size: tuple[int, ...]) -> int:
    """The number of complex values in the transform of one channel of a filter of this size."""
    points = _points(size)
    return int(np.prod(points[:-1])) * (points[-1] // 2 + 1)


def ray_size(size: tuple[int, ...]) -> int:
    """The number of complex values in the waves that the `bandwidth` of a filter of this size is measured with."""
    return sum(size) * (RADIAL_STEPS + 1)


def _points(size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(GRID[len(size)], 2 * length + 1) if length > 1 else 1 for length in size)


def spectrum_of(kernel: Values) -> Spectrum:
    """The power spectrum of `kernel` (filters, channels, *size), over half of the frequencies (the other half mirrors it)."""
    size = kernel.shape[2:]
    points = _points(size)
    kernel = _fewest_channels(kernel)
    transform = np.fft.rfftn(kernel, s=points, axes=tuple(range(2, kernel.ndim)))
    power = (transform.real**2 + transform.imag**2).sum(axis=1)
    axes = [np.fft.fftfreq(count) for count in points[:-1]] + [np.fft.rfftfreq(points[-1])]
    frequency = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(size))
    # The half spectrum keeps both of a pair on the plane where the last axis is 0.
    count = np.where(frequency[:, -1] > 0, 2.0, 1.0)
    return Spectrum(power.reshape(len(kernel), -1) / np.prod(points), frequency, count)


def _fewest_channels(kernel: Values) -> Values:
    """The same power spectrum from at most as many channels as a filter has taps.

    The spectrum depends on a filter's (channels × taps) matrix M only through MᵀM, which the triangular factor of M = QR shares.
    """
    filters, channels, *size = kernel.shape
    taps = int(np.prod(size))
    if channels <= taps:
        return kernel
    factor = np.asarray(np.linalg.qr(kernel.reshape(filters, channels, taps), mode="r"), np.float64)
    return factor.reshape(filters, taps, *size)


def high_frequency_share(spectrum: Spectrum) -> Values:
    """Share of a filter's energy above HIGH_FREQUENCY, (filters,); 0 for a filter without energy."""
    return _share(spectrum.power @ (spectrum.count * (spectrum.radius > HIGH_FREQUENCY)), spectrum.power @ spectrum.count)


def flatness(spectrum: Spectrum) -> Values:
    """Share of all frequencies that a filter's energy is spread over, (filters,): the participation ratio of its power.

    1 for a single tap, which passes all frequencies alike; 3/4 is expected of white noise over three channels, 1/2 over one; a filter
    tuned to one frequency and direction has little.
    """
    return participation(spectrum.power, spectrum.count)


def participation(energy: Values, count: Values) -> Values:
    """(Σ e)² / (N · Σ e²) of `energy` (filters, places), each place counted `count` times: the share of places that hold it, 1/N to 1.

    The inverse participation ratio of Bell & Dean, Discuss. Faraday Soc. 50, 1970, 55–61, over the number of places; 0 without energy.
    """
    return _share((energy @ count) ** 2, count.sum() * (energy**2 @ count))


def orientation(spectrum: Spectrum) -> tuple[Values, Values]:
    """Direction of the stripes of two-dimensional filters in degrees [0, 180), and its selectivity 0..1, both (filters,).

    The energy at frequency direction φ is averaged as a vector at the doubled angle, z = Σ P·exp(2iφ) / Σ P over all f ≠ 0: stripes
    stand at right angles to arg(z)/2, and |z| is one minus the circular variance (Ringach, Shapley & Hawken, J. Neurosci. 22, 2002,
    5639–5651, there of the response to gratings, which is what a frequency response is): 0 no direction preferred, 1 all energy in one
    direction. 0° is a horizontal edge, 90° a vertical one, 45° rises to the right.
    """
    down, right = spectrum.frequency.T
    squared = spectrum.radius**2
    direction = np.zeros(len(squared), np.complex128)
    # Rows count downwards; turned so that angles count anticlockwise.
    np.divide((right - 1j * down) ** 2, squared, out=direction, where=squared > 0)
    total = spectrum.power @ (spectrum.count * (squared > 0))
    vector = spectrum.power @ (spectrum.count[:, None] * np.stack([direction.real, direction.imag], axis=1))
    doubled = vector[:, 0] + 1j * vector[:, 1]
    degrees = (np.degrees(np.angle(doubled)) / 2 + 90) % 180
    return degrees, _share(np.abs(doubled), total)


def dominant_frequency(spectrum: Spectrum) -> tuple[Values, Values]:
    """The frequency vector of the largest power (filters, axes) and its length (filters,) in cycles per pixel; 0 for a low-pass filter."""
    peak = spectrum.frequency[spectrum.power.argmax(axis=1)]
    return peak, np.linalg.norm(peak, axis=1)


def zero_response(spectrum: Spectrum) -> Values:
    """The response at frequency zero (to even brightness) against the largest, in amplitude, (filters,): 0 balanced, 1 low-pass."""
    return np.sqrt(_share(spectrum.power[:, 0], spectrum.power.max(axis=1)))


def bandwidth(kernel: Values, peak: Values) -> Values:
    """Full width in octaves, log₂(f_high / f_low), of the response at half of its amplitude along the direction of its `peak`, (filters,).

    The convention is that of De Valois, Albrecht & Thorell, Vision Research 22, 1982, 545–559. NaN where the response does not fall to half
    on both sides: a low-pass filter has no lower edge, a filter near Nyquist's frequency no upper one.
    """
    kernel = _fewest_channels(kernel)
    length = np.linalg.norm(peak, axis=1)
    unit = np.divide(peak, length[:, None], out=np.zeros_like(peak), where=length[:, None] > 0)
    # Along the ray up to where its largest component reaches Nyquist's 0.5.
    reach = 0.5 / np.maximum(np.abs(unit).max(axis=1), 0.5)
    radius = reach[:, None] * np.linspace(0, 1, RADIAL_STEPS + 1)
    together = max(1, MOST_WAVES // sum(kernel.shape[2:]))
    power = []
    for first in range(0, radius.shape[1], together):
        response = _response(kernel, unit[:, None, :] * radius[:, first : first + together, None])
        power.append((response.real**2 + response.imag**2).sum(axis=1))
    return _octaves(np.concatenate(power, axis=1), radius, length)


def _response(kernel: Values, frequency: Values) -> NDArray[np.complex128]:
    """The Fourier transform of each filter at its own frequencies (filters, points, axes) → (filters, channels, points)."""
    filters, channels, *size = kernel.shape
    waves = [np.exp(-2j * np.pi * np.arange(length)[:, None] * frequency[:, None, :, axis]) for axis, length in enumerate(size)]
    # The last axis by matrix product (the real and the imaginary part at once); what is left is smaller by that axis.
    points = frequency.shape[1]
    parts = np.concatenate([waves[-1].real, waves[-1].imag], axis=2)
    product = np.matmul(kernel.reshape(filters, -1, size[-1]), parts)
    response: NDArray[np.complex128] = product[..., :points] + 1j * product[..., points:]
    for axis in reversed(range(len(size) - 1)):
        response = (response.reshape(filters, -1, size[axis], points) * waves[axis][:, None]).sum(axis=2)
    return response.reshape(filters, channels, points)


def _octaves(power: Values, radius: Values, centre: Values) -> Values:
    """log₂ of the ratio of the two radii next to `centre` where `power` has fallen to a quarter; NaN where either is missing."""
    at = np.abs(radius - centre[:, None]).argmin(axis=1)
    below = power < power[np.arange(len(power)), at][:, None] / 4
    steps = np.arange(power.shape[1])
    low = np.where(below & (steps < at[:, None]), steps, -1).max(axis=1)
    high = np.where(below & (steps > at[:, None]), steps, power.shape[1]).min(axis=1)
    # A low edge at step 0 is at frequency zero, where the ratio has no bound.
    found = (low > 0) & (high < power.shape[1])
    rows = np.arange(len(power))
    octaves = np.full(len(power), np.nan)
    octaves[found] = np.log2(radius[rows[found], high[found]] / radius[rows[found], low[found]])
    return octaves


def _share(part: Values, whole: Values) -> Values:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
