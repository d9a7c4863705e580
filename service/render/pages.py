"""The pages of a report: its tabs, each with an address, a page for every layer, and the worksheet. `here` is the address of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlencode

from service import __version__
from service.faults import Refused
from service.render.figures import charts
from service.render.figures.connections import window
from service.render.figures.connectivity_svg import View
from service.render.figures.sharing_chart import shares
from service.render.figures.sweep_chart import sweeps
from service.render.formats import REPORT_FORMATS, served
from service.render.grid.options import Normalize
from service.render.html import PICTURES
from service.render.templating import framing, render
from service.render.words import view
from service.render.words.answers import answers, open_inputs
from service.render.words.geometry import FIELDS, geometry_texts, has_window
from service.render.words.pictured import drawable, read_grid
from service.render.words.text import shown
from service.render.words.worksheet import worksheet
from service.report.document import Layer, Report
from service.report.layers import find_layer
from service.report.plain import plain_object
from service.report.preview import preview
from service.report.proposals import GOALS

TABS = (
    ("", "Overview"),
    ("findings", "Findings"),
    ("layers", "Layers"),
    ("receptive-field", "Receptive field"),
    ("filters", "Filters"),
    ("what-if", "What if"),
)
MAX_THUMBNAILS = 4
"""Deeper convolutions whose filters the overview shows."""

MAX_LOOKERS = 400
"""Layers to choose from for what one unit sees; of more, every n-th is offered."""

GRID_CHOICES = {
    "normalize": get_args(Normalize),
    "channels": ("rgb", "mean", "each"),
}

Asked = Mapping[str, str]
"""The query of a page."""


def overview(report: Report, here: str, asked: Asked) -> bytes:
    """What the model shares, skips and sees."""
    drawn = drawable(report)
    pictures = {
        "drawn": drawn,
        "reading": read_grid(report, drawn[0]) if drawn else (),
        "deeper": [row for row in report.hierarchy if 1 < row.depth <= MAX_THUMBNAILS + 1],
        "captions": PICTURES,
    }
    seen = {"connected": shares(report), "grows": charts.grows(report), "shapeless": open_inputs(report)}
    return _tab("overview.html", report, here, asked, "", kinds=view.kinds(report), **pictures, **seen)


def findings(report: Report, here: str, asked: Asked) -> bytes:
    """What stands out."""
    return _tab("findings.html", report, here, asked, "findings")


def layers(report: Report, here: str, asked: Asked) -> bytes:
    """The layer table."""
    start = _whole(asked.get("start", ""))
    start = start if start < len(report.layers) else 0
    return _tab("layers.html", report, here, asked, "layers", rows=view.rows(report, start), start=start, most=view.MOST_ROWS)


def receptive_field(report: Report, here: str, asked: Asked) -> bytes:
    """How the receptive field grows."""
    field = report.summary.receptive_field
    pixels = view.pixels(field.axes if field else None)
    lookers = [(layer.index, shown(layer.name, 60)) for layer in report.layers if _seen(layer)]
    lookers = lookers[:: -(-len(lookers) // MAX_LOOKERS) or 1]
    chosen = _whole(asked.get("layer", "-"), -1)
    looker = chosen if chosen in dict(lookers) else lookers[-1][0] if lookers else None
    look = {"lookers": lookers, "looker": looker, "swept": sweeps(report)}
    return _tab("receptive_field.html", report, here, asked, "receptive-field", grows=charts.grows(report), pixels=pixels, **look)


def what_if(report: Report, here: str, asked: Asked) -> bytes:
    """The layers with their geometry to be changed; a script asks for what follows."""
    rows = [(layer, geometry_texts(layer)) for layer in report.layers if has_window(layer)][: view.MOST_ROWS]
    names = [port.name for port in report.model.inputs]
    values = {
        "rows": rows,
        "base_preview": plain_object(preview(report)),
        "goals": GOALS,
        "fields": FIELDS,
        "one_input": names[0] if len(names) == 1 else None,
    }
    return _tab("what_if.html", report, here, asked, "what-if", **values)


def filters(report: Report, here: str, asked: Asked) -> bytes:
    """The learned filters as pictures."""
    chosen = {key: asked[key] for key, values in GRID_CHOICES.items() if asked.get(key) in values}
    depth = _whole(asked.get("depth", ""), 1)
    deep = depth if depth in [row.depth for row in report.hierarchy] else 1
    address = f"/v1{here.removesuffix('/filters')}/" + ("filters.png" if deep == 1 else f"hierarchy/{deep}.png")
    drawn, place = drawable(report), _whole(asked.get("layer", ""))
    place = place if place < len(drawn) else 0
    reads = drawn[place] if drawn else None
    query = urlencode({**chosen, **({"layer": reads.layer} if reads is not None and place else {})}) if deep == 1 else ""
    more = {"chosen": chosen, "choices": GRID_CHOICES, "depth": deep, "captions": PICTURES}
    more |= {"picture": address + (f"?{query}" if query else ""), "place": place}
    more |= {"reads": reads, "reading": read_grid(report, reads) if reads is not None else ()}
    return _tab("filters.html", report, here, asked, "filters", drawn=drawn, **more)


def layer(report: Report, here: str, asked: Asked, wanted: str, base: str) -> bytes:
    """One layer: its numbers and how they follow, its connections, its receptive field. Refused where there is no such layer or view."""
    found = find_layer(report.layers, wanted)
    animate = asked.get("animate") == "true"
    # Where nothing is lit, a graph of all connections is a tangle; the matrix is not.
    shape = asked.get("view", "graph" if animate else "matrix")
    if shape not in get_args(View):
        raise Refused("invalid", "not-found", "There is no such view.")
    return _page(
        "layer.html",
        here,
        asked,
        report=report,
        layer=found,
        row=view.row(report, found),
        themes=view.THEMES,
        pixels=view.pixels(found.receptive_field.axes if found.receptive_field else None),
        groups=view.finding_groups([f for f in report.findings if f.layer == found.name], report.layers),
        shape=shape,
        animate=animate,
        drawable=_drawable(found),
        seen=_seen(found),
        base=base,
    )


def show_worksheet(report: Report, here: str, asked: Asked) -> bytes:
    """Questions on an analysis, and with ?key=true their answers."""
    return _page("worksheet.html", here, asked, report=report, exercises=worksheet(report), key=asked.get("key") == "true")


def _whole(text: str, default: int = 0) -> int:
    """The whole number that a query holds."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _drawable(layer: Layer) -> bool:
    try:
        window(layer)
    except Refused:
        return False
    return True


def _seen(layer: Layer) -> bool:
    """Whether the field of one unit can be drawn on an image."""
    field = layer.receptive_field
    return field is not None and bool(field.size) and len(field.axes) == 2


def _tab(template: str, report: Report, here: str, asked: Asked, tab: str, **values: Any) -> bytes:
    """One tab of a report; every one begins with the model and the tabs."""
    base = f"/analyses/{report.id}"
    groups = view.finding_groups(report.findings, report.layers)
    common: dict[str, Any] = {"report": report, "base": base, "tab": tab, "tabs": TABS, "about": view.about(report)}
    common["formats"] = [(name, each.label) for name, each in served(REPORT_FORMATS).items()]
    return _page(template, here, asked, **common, answers=answers(report), groups=groups, **values)


def _page(template: str, here: str, asked: Asked, **values: Any) -> bytes:
    return render(template, version=__version__, here=here, **framing(asked), **values).encode()
