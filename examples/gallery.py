"""Draw the first-layer filters of all examples, and of a folder of models if one is named, and put them on one contact sheet.

    make gallery
    make gallery ARGS="--models ../models --bgr 'squeezenet*'"

It writes one PNG per model, a line of measurements each, and contact-sheet.png. A model without filters is passed over and says why.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from service.analysis.filters.layer import find_filters
from service.analysis.filters.measurements import measure_filters
from service.analysis.filters.summary import summary
from service.faults import Refused
from service.options import Options
from service.readers.model import read_model
from service.render.grid.contact_sheet import contact_sheet
from service.render.grid.grid import Grid, GridOptions, draw_grid

EXAMPLES = Path(__file__).resolve().parent


def main() -> None:
    """Draw everything that the command line names."""
    parser = argparse.ArgumentParser(description="Draw first-layer filters.")
    parser.add_argument("--models", type=Path, help="a folder of .onnx and .json models")
    parser.add_argument("--output", type=Path, default=Path("output/gallery"), help="where the pictures go (default: output/gallery)")
    parser.add_argument("--bgr", action="append", default=[], metavar="PATTERN", help="names of models that read blue first")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    grids = []
    for path in models([EXAMPLES] + ([arguments.models] if arguments.models else [])):
        blue_first = any(fnmatch(path.stem, pattern) for pattern in arguments.bgr)
        try:
            grid, said = draw(path, blue_first)
        except Refused as error:
            print(f"{path.stem}: not drawn: {error}")
            continue
        (arguments.output / f"{path.stem}.png").write_bytes(grid.png)
        grids.append(grid)
        print(f"{path.stem}: {said}")
    if grids:
        sheet = arguments.output / "contact-sheet.png"
        sheet.write_bytes(contact_sheet(grids))
        print(f"{len(grids)} grids on {sheet}")


def models(folders: list[Path]) -> Iterator[Path]:
    """The model files of the folders, by name."""
    for folder in folders:
        yield from sorted((path for path in folder.iterdir() if path.suffix in (".onnx", ".json")), key=lambda path: path.stem)


def draw(path: Path, blue_first: bool) -> tuple[Grid, str]:
    """The grid of a model's first convolution, captioned with the model's name, and its measurements in words."""
    options = Options(channel_order="bgr" if blue_first else "rgb")
    externals = {other.name: other for other in path.parent.iterdir() if other.is_file() and other.suffix not in (".onnx", ".json")}
    model = read_model(path, options, externals)
    found = find_filters(model.graphs[0], model.weights)
    measured = measure_filters(found.values, groups=found.groups, channel_order=options.channel_order)
    chosen = GridOptions(channel_order=options.channel_order, labels=True)
    grid = draw_grid(found.values, chosen, groups=found.groups, layer=path.stem, measured=measured)
    return grid, summary(measured)


if __name__ == "__main__":
    main()
