"""Which files of external data a model names, so that whoever sends the model can send them with it."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message
from onnx import TensorProto

from service.readers.formats import JSON, SNIFF_BYTES, recognise
from service.readers.wire.scan import scan
from service.sources.places import Place, opened


def named_externals(place: Place) -> list[str]:
    """The locations that the tensors of an ONNX file name, each once, as they stand there: a name may be a path, or anything else.

    None of them for a JSON document. Refused where the file cannot be read as a model.
    """
    source = opened(place)
    if recognise(source.read(0, min(SNIFF_BYTES, source.size)), source.size) == JSON:
        return []
    scanned = scan(source)
    # What the scanner cut out is external as well, to a location that no file has.
    return sorted(set(_locations(scanned.model)) - scanned.payloads.keys())


def _locations(model: Message) -> Iterator[str]:
    """The location of every external tensor, wherever in the model it stands."""
    left = [model]
    while left:
        message = left.pop()
        if isinstance(message, TensorProto):
            if message.data_location == TensorProto.EXTERNAL:
                yield from (entry.value for entry in message.external_data if entry.key == "location")
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                left.extend(value if field.is_repeated else [value])
