"""The vectorised connection picture of a layer: enumerated pixels, hidden units, one colour per weight.

`graph` draws two columns joined by edges, `matrix` the (doubly blocked) matrix of the layer, coloured where two units are connected and
blank where not. Animated, the filter slides: the edges of one hidden unit after the other light up. It is plain CSS, paused by a checkbox,
and without motion (or for a reader who asked for less) the still picture says the same.
"""

from __future__ import annotations

import math
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from service.render.figures.connections import Connection, Window, window
from service.report.document import Layer

View = Literal["graph", "matrix"]

_SECONDS = 1.2


def connectivity_svg(layer: Layer, view: View = "graph", animate: bool = False) -> bytes:
    """The picture of a layer as SVG. Refused `no-connections` where there is nothing to draw."""
    part = window(layer)
    body, width, height = (_graph if view == "graph" else _matrix)(part)
    head, head_width = _heading(part)
    top, width = 66, max(width, head_width)
    legend, legend_height = _legend(part, width)
    foot = 40 if animate else 8
    total = top + height + legend_height + foot
    control = _control(top + height + legend_height) if animate else ""
    title = f"{part.layer}: {len(part.connections)} connections, {part.weights} weights"
    moving = ' class="animated"' if animate else ""
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="{width}" height="{total}" role="img" '
        f"aria-label={quoteattr(_clean(title))}{moving}>"
        f"<title>{escape(_clean(title))}</title><style>{_style(part, animate)}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>{head}'
        f'<g transform="translate(0 {top})">{body}</g><g transform="translate(0 {top + height})">{legend}</g>{control}</svg>'
    )
    return text.encode()


def colour(weight: int, of: int) -> str:
    """A colour for each weight, apart in hue by the golden angle, dark enough for white ground."""
    hue = (weight * 137.508) % 360 if of > 12 else weight * 360 / max(of, 1)
    return f"hsl({hue:.0f} 75% {38 + 8 * (weight % 2)}%)"


def _clean(text: str) -> str:
    """Text without characters that XML forbids or that reorder what is read."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _style(part: Window, animate: bool) -> str:
    base = ".t{font:12px 'DejaVu Sans',Verdana,sans-serif;fill:#222}.s{font-size:11px;fill:#555}.e{stroke-width:1.6;fill:none}"
    if not animate:
        return base
    units = max(math.prod(part.outputs), 1)
    lit, cycle = 100 / units, f"{units * _SECONDS:.1f}s step-end infinite"
    return base + (
        f"@media (prefers-reduced-motion:no-preference){{.animated .u{{opacity:.13;animation:light {cycle}}}"
        f"@keyframes light{{0%{{opacity:1}}{lit:.3f}%{{opacity:.13}}}}"
        f".animated .f{{animation:show {cycle};opacity:0}}"
        f"@keyframes show{{0%{{opacity:1}}{lit:.3f}%{{opacity:0}}}}"
        "svg:has(input:checked) .u,svg:has(input:checked) .f{animation-play-state:paused}}"
        "@media (prefers-reduced-motion:reduce){.f{display:none}}"
    )


def _heading(part: Window) -> tuple[str, int]:
    """Three lines of text, and how wide they may be in a sans serif."""
    name = _clean(part.layer)
    name = name if len(name) <= 60 else name[:28] + "…" + name[-31:]
    inputs, outputs = math.prod(part.inputs), math.prod(part.outputs)
    units = f"{inputs} input units × {outputs} hidden units"
    counts = f"{units} = {inputs * outputs} possible connections, {len(part.connections)} exist, {part.weights} weights"
    lines = (f"{name} ({part.kind})", counts, f"shown: {part.part}")
    text = (
        f'<text class="t" x="16" y="22" style="font-weight:bold;font-size:14px">{escape(lines[0])}</text>'
        f'<text class="t" x="16" y="40">{lines[1]}</text><text class="t s" x="16" y="57">{escape(lines[2])}</text>'
    )
    return text, 32 + round(max(len(line) * each for line, each in zip(lines, (9.6, 6.8, 6.4), strict=True)))


def _delay(unit: int) -> str:
    return f'style="animation-delay:{unit * _SECONDS:.1f}s"'


def _by_unit(part: Window) -> list[list[Connection]]:
    units: list[list[Connection]] = [[] for _ in range(math.prod(part.outputs))]
    for each in part.connections:
        units[each.target].append(each)
    return units


def _graph(part: Window) -> tuple[str, int, int]:
    """Pixels in the left column, hidden units in the right one; beside each the picture they come from."""
    inputs, outputs = math.prod(part.inputs), math.prod(part.outputs)
    pitch = 26
    image, image_width = _image(part.inputs, "x", 16, 24, part)
    left, gap = 16 + image_width + 46, 300
    right = left + gap
    height = max(inputs, outputs) * pitch + 20
    maps, map_width = _image(part.outputs, "f", right + 46, 24, None)
    ys = [_centre(i, inputs, height, pitch) for i in range(inputs)]
    yt = [_centre(i, outputs, height, min(pitch * 3, height / max(outputs, 1))) for i in range(outputs)]
    edges = []
    for unit, connections in enumerate(_by_unit(part)):
        lines = "".join(
            f'<path class="e" d="M{left + 13} {ys[c.source]:.1f}L{right - 13} {yt[unit]:.1f}" stroke="{colour(c.weight, part.weights)}">'
            f"<title>x{c.source + 1} → f{unit + 1} by w{c.weight + 1}</title></path>"
            for c in connections
        )
        edges.append(f'<g class="u" {_delay(unit)}>{lines}</g>')
    nodes = "".join(_node(left, y, f"x{i + 1}", "#eef3fa") for i, y in enumerate(ys))
    nodes += "".join(_node(right, y, f"f{i + 1}", "#fdf1e3") for i, y in enumerate(yt))
    height = max(height, _image_height(part.inputs) + 40, _image_height(part.outputs) + 40)
    return image + maps + "".join(edges) + nodes, int(right + 46 + map_width + 24), int(height)


def _centre(index: int, count: int, height: float, pitch: float) -> float:
    return height / 2 + (index - (count - 1) / 2) * pitch


def _node(x: float, y: float, label: str, fill: str) -> str:
    return (
        f'<circle cx="{x}" cy="{y:.1f}" r="12" fill="{fill}" stroke="#667"/>'
        f'<text class="t" x="{x}" y="{y + 3.5:.1f}" text-anchor="middle" style="font-size:9.5px">{label}</text>'
    )


_CELL, _NAME = 28, 80
"""The side of a pixel, and the width of the words above a map."""


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns in which a map of one, two or three axes is laid out."""
    return (1, 1) if not shape else (shape[0], 1) if len(shape) == 1 else (math.prod(shape[:-1]), shape[-1])


def _is_line(shape: tuple[int, ...]) -> bool:
    """Whether the column of units shows a map as well as a picture of it would."""
    return len(shape) == 1 or (sum(n > 1 for n in shape) == 1 and max(shape) > 32)


def _image_height(shape: tuple[int, ...]) -> int:
    return 0 if _is_line(shape) else _rows(shape)[0] * _CELL + 30


def _image(shape: tuple[int, ...], letter: str, x: int, y: int, sliding: Window | None) -> tuple[str, int]:
    """A map as enumerated pixels, and the frame of the filter that slides over it."""
    if _is_line(shape):
        return "", 0
    rows, columns = _rows(shape)
    cells = "".join(
        f'<rect x="{x + c * _CELL}" y="{y + r * _CELL}" width="{_CELL}" height="{_CELL}" fill="#fafafa" stroke="#99a"/>'
        f'<text class="t" x="{x + (c + 0.5) * _CELL}" y="{y + r * _CELL + 18}" text-anchor="middle" style="font-size:9.5px">'
        f"{letter}{r * columns + c + 1}</text>"
        for r in range(rows)
        for c in range(columns)
    )
    name = "image" if letter == "x" else "feature map"
    cells += f'<text class="t s" x="{x}" y="{y - 8}">{name}</text>'
    if sliding is not None and len(shape) == 2 and sliding.slides:
        cells += "".join(_frame(sliding, unit, x, y) for unit in range(math.prod(sliding.outputs)))
    return cells, max(columns * _CELL, _NAME)


def _frame(part: Window, unit: int, x: int, y: int) -> str:
    """The filter at one place: the pixels that it reads, framed in the colours of their weights."""
    columns = part.inputs[-1]
    side = _CELL - 4
    marks = "".join(
        f'<rect x="{x + c.source % columns * _CELL + 2}" y="{y + c.source // columns * _CELL + 2}" width="{side}" height="{side}" '
        f'fill="none" stroke="{colour(c.weight, part.weights)}" stroke-width="3"/>'
        for c in part.connections
        if c.target == unit
    )
    return f'<g class="f" {_delay(unit)} opacity="0">{marks}</g>'


def _matrix(part: Window) -> tuple[str, int, int]:
    """Hidden units down, pixels across: the layer as one matrix."""
    inputs, outputs = math.prod(part.inputs), math.prod(part.outputs)
    cell = max(12, min(30, 1100 // max(inputs, 1)))
    left, top = 56, 34
    step = 1 if cell >= 22 else 5
    ground = (
        f'<rect x="{left}" y="{top}" width="{inputs * cell}" height="{outputs * cell}" fill="#fff" stroke="#445"/>'
        + "".join(f'<path d="M{left + i * cell} {top}v{outputs * cell}" stroke="#e3e5ea"/>' for i in range(1, inputs))
        + "".join(f'<path d="M{left} {top + i * cell}h{inputs * cell}" stroke="#e3e5ea"/>' for i in range(1, outputs))
    )
    across = "".join(
        f'<text class="t s" x="{left + (i + 0.5) * cell}" y="{top - 6}" text-anchor="middle" style="font-size:9.5px">x{i + 1}</text>'
        for i in range(inputs)
        if step == 1 or i % step == 0
    )
    down = "".join(
        f'<text class="t s" x="{left - 6}" y="{top + (i + 0.5) * cell + 4}" text-anchor="end" style="font-size:9.5px">f{i + 1}</text>'
        for i in range(outputs)
    )
    rows = []
    for unit, connections in enumerate(_by_unit(part)):
        cells = "".join(_entry(c, left + c.source * cell, top + unit * cell, cell, part.weights) for c in connections)
        rows.append(f'<g class="u" {_delay(unit)}>{cells}</g>')
    return ground + across + down + "".join(rows), left + inputs * cell + 24, top + outputs * cell + 16


def _entry(connection: Connection, x: int, y: int, cell: int, weights: int) -> str:
    label = (
        f'<text x="{x + cell / 2}" y="{y + cell / 2 + 3.5}" text-anchor="middle" fill="#fff" style="font:9.5px sans-serif">'
        f"w{connection.weight + 1}</text>"
        if cell >= 24
        else ""
    )
    fill = colour(connection.weight, weights)
    return (
        f"<g><title>x{connection.source + 1} → f{connection.target + 1} by w{connection.weight + 1}</title>"
        f'<rect x="{x + 0.5}" y="{y + 0.5}" width="{cell - 1}" height="{cell - 1}" fill="{fill}"/>{label}</g>'
    )


def _legend(part: Window, width: int) -> tuple[str, int]:
    """The weights with their colours, as many as fit three rows."""
    each, rows = 54, 3
    per_row = max((width - 32) // each, 1)
    shown = min(part.weights, per_row * rows)
    entries = "".join(
        f'<rect x="{16 + i % per_row * each}" y="{8 + i // per_row * 20}" width="13" height="13" fill="{colour(i, part.weights)}"/>'
        f'<text class="t s" x="{33 + i % per_row * each}" y="{19 + i // per_row * 20}">w{i + 1}</text>'
        for i in range(shown)
    )
    lines = -(-shown // per_row) if shown else 0
    if shown < part.weights:
        entries += f'<text class="t s" x="16" y="{20 + lines * 20}">and {part.weights - shown} more weights</text>'
        lines += 1
    return entries, lines * 20 + 12


def _control(y: int) -> str:
    return (
        f'<foreignObject x="16" y="{y}" width="180" height="28"><label xmlns="http://www.w3.org/1999/xhtml" '
        'style="font:13px \'DejaVu Sans\',sans-serif;color:#222"><input type="checkbox"/> pause</label></foreignObject>'
    )
