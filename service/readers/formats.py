"""Other formats that are sent where an ONNX model is due, told by their first bytes."""

from __future__ import annotations

import re

from service.faults import Refused

SNIFF_BYTES = 4096
GIT_LFS, JSON = "Git LFS pointer", "JSON"

# (offset, signature, name), from each format's own description; the first that fits wins.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs.github.com/spec/", GIT_LFS),
    (0, b"version https://hawser.github.com/spec/", GIT_LFS),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 (Keras .h5)"),
    (0, b"GGUF", "GGUF"),
    (0, b"ggml", "GGML"),
    (0, b"lmgg", "GGML"),
    (4, b"TFL3", "TensorFlow Lite"),
    (4, b"ORTM", "ONNX Runtime (.ort)"),
    (0, b"ftrt", "TensorRT engine"),
    (0, b"ptrt", "TensorRT engine"),
    (0, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch (before 1.6)"),
    (0, b"\x93NUMPY", "NumPy .npy"),
    (0, b"7767517\n", "ncnn"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (257, b"ustar", "tar"),
    (0, b"%PDF-", "PDF"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x7fELF", "ELF"),
    (0, b"SQLite format 3\x00", "SQLite"),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?[\x8a\x8c()\]}cXKIJMGN]", re.DOTALL)
_HTML = re.compile(rb"\s*(?:<!--.{0,512}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
# A brace in UTF-16 or UTF-32, with or without a byte order mark. No ONNX file begins so: the byte of a brace is no field of it.
_WIDE_JSON = re.compile(rb"(?:\xff\xfe(?:\0\0)?|\xfe\xff|\0\0\xfe\xff)?(?:\0{0,3}[{\[]\0|\0{1,3}[{\[])")
# An object, an array, or a string that holds an object: a document that was written twice.
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*(?:[\"}]|$)|\[\s*(?:[\[{\"\]0-9tfn-]|$)|\"\{(?:\\n|\\t| )*\\\")")
_ONNX_TEXT = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(?:ir_version\s*:|<\s*ir_version\s*:|graph\s*\{)")
_ZIP_ENTRY = re.compile(rb"PK\x03\x04.{22}(..)..", re.DOTALL)
# What the first message of a GraphDef, a Core ML model and a SavedModel begin with, where ONNX has its producer's name.
_GRAPH_DEF = re.compile(rb"\x0a[\x00-\x7f\x80-\xff]{1,3}?\x0a[\x01-\x7f][ -~]{1,127}\x12[\x01-\x40][A-Z][A-Za-z0-9_]+", re.DOTALL)
_CORE_ML = re.compile(rb"\x08[\x01-\x20]\x12[\x80-\xff]{0,3}[\x00-\x7f]\x0a[\x80-\xff]?[\x00-\x7f]\x0a[\x01-\x7f][ -~]", re.DOTALL)
_SAVED_MODEL = re.compile(rb"\x08\x01\x12[\x80-\xff]{0,4}[\x00-\x7f]\x0a[\x80-\xff]{0,4}[\x00-\x7f][\x12\x1a\x22\x2a]", re.DOTALL)


_UNPACK, _NO_MODEL = "Unpack it and send the ONNX file that is in it.", "There is no model in it: send an ONNX file or a layer spec."
_ADVICE = {
    **dict.fromkeys(("gzip", "bzip2", "xz", "Zstandard", "7-Zip", "tar", "ZIP archive"), _UNPACK),
    **dict.fromkeys(("PDF", "PNG", "JPEG", "ELF", "SQLite"), _NO_MODEL),
    "HTML page": "A server has answered with a page in the place of the file: look at the address that it was downloaded from.",
    "ONNX as text": "Send the binary form, which onnx.save writes.",
}
"""What to do with a format that cannot be converted to ONNX."""


def recognise(first_bytes: bytes, size: int) -> str | None:
    """The name of the format that a file of `size` bytes with these `first_bytes` has, if it is a known one other than ONNX."""
    for offset, signature, name in _SIGNATURES:
        if first_bytes.startswith(signature, offset):
            return name
    if first_bytes.startswith(b"PK"):
        return _zip_content(first_bytes)
    if size > 8 and first_bytes[8:9] == b"{" and int.from_bytes(first_bytes[:8], "little") <= size - 8 and b'"' in first_bytes[9:64]:
        return "safetensors"
    for pattern, name in (
        (_HTML, "HTML page"),
        (re.compile(rb"\s*<\?xml\b"), "XML (OpenVINO IR, PMML)"),
        (_JSON, JSON),
        (_WIDE_JSON, JSON),
        (_ONNX_TEXT, "ONNX as text"),
        (_PICKLE, "Python pickle"),
        (_SAVED_MODEL, "TensorFlow SavedModel"),
        (_CORE_ML, "Core ML"),
        (_GRAPH_DEF, "TensorFlow GraphDef"),
    ):
        if pattern.match(first_bytes):
            return name
    return None


def _zip_content(first_bytes: bytes) -> str:
    """What kind of ZIP archive begins so, by the name of its first entry."""
    entry = _ZIP_ENTRY.match(first_bytes)
    length = int.from_bytes(entry[1], "little") if entry else 0
    name = first_bytes[30 : 30 + length]
    if name.endswith((b"/data.pkl", b"/version", b"/constants.pkl", b"/.format_version", b"/byteorder")):
        return "PyTorch (zip)"
    if name.endswith(b".npy"):
        return "NumPy .npz"
    if name in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return "Keras (.keras)"
    if b".mlpackage" in name or name.startswith(b"Data/com.apple.CoreML"):
        return "Core ML"
    return "ZIP archive"


def refuse_other_formats(first_bytes: bytes, size: int) -> None:
    """Raise the Refused that says what was sent instead of an ONNX model; do nothing where that is not known."""
    if size == 0:
        raise Refused("malformed", "empty-body", "The body is empty.")
    name = recognise(first_bytes, size)
    if name == GIT_LFS:
        advice = "Fetch the file itself with `git lfs pull`."
        raise Refused("invalid", "git-lfs-pointer", f"This is a Git LFS pointer, not the model it points to. {advice}")
    if name == JSON:
        raise Refused("malformed", "json-not-onnx", "This is JSON, not an ONNX model. Send a layer spec as application/json.")
    if name is not None:
        advice = _ADVICE.get(name, "Convert it to ONNX first.")
        raise Refused("unsupported", "unsupported-format", f"This is not an ONNX model but {name}. {advice}")
