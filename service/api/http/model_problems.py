"""What can be wrong with a model, by code, as the page /docs and docs/problems.md show it; a test holds every code in the source to it."""

from __future__ import annotations

from dataclasses import dataclass

from service.api.http.problem_types import PROBLEM_TYPES


@dataclass(frozen=True, slots=True)
class ModelProblem:
    """Codes that the readers and the analysis give, with their statuses, and when they do."""

    codes: str
    statuses: str
    when: str

    @property
    def names(self) -> list[str]:
        """The codes, one by one."""
        return self.codes.split()


MODEL_PROBLEMS: tuple[ModelProblem, ...] = (
    ModelProblem(
        "not-protobuf",
        "400",
        "The bytes are not the protobuf message of an ONNX model.",
    ),
    ModelProblem(
        "truncated-model",
        "400",
        "The file ends, or a message in it ends, in the middle of a value.",
    ),
    ModelProblem(
        "repeated-field",
        "400",
        "A field that a model has once, such as its graph, stands there twice.",
    ),
    ModelProblem(
        "no-graph empty-graph",
        "400, 422",
        "The model has no graph, or nothing in it.",
    ),
    ModelProblem(
        "json-not-onnx duplicate-key not-a-file",
        "400",
        "JSON where ONNX was due; a name twice in one JSON object; not a regular file.",
    ),
    ModelProblem(
        "unsupported-format",
        "415",
        "Another format, which `detail` names: a PyTorch zip, safetensors, TFLite, HDF5, GGUF …",
    ),
    ModelProblem(
        "git-lfs-pointer",
        "422",
        "The pointer file of Git LFS in the place of the model.",
    ),
    ModelProblem(
        "source-no-onnx",
        "415",
        "A version of a registry that was logged without the flavor `onnx`.",
    ),
    ModelProblem(
        "limit-fetched",
        "422",
        "More than eight times the size of a model that lies elsewhere would be fetched of it.",
    ),
    ModelProblem(
        "invalid-spec",
        "422",
        "A layer spec with wrong fields, each of them in `errors`.",
    ),
    ModelProblem(
        "unsupported-layer unsupported-output",
        "422",
        "A Keras document that begins with a layer that cannot be read, or reads a result that a layer does not give.",
    ),
    ModelProblem(
        "missing-opset duplicate-opset unsupported-opset",
        "422",
        "The model names no opset, one twice, or one that is not known.",
    ),
    ModelProblem(
        "duplicate-name duplicate-output undefined-input undefined-output graph-cycle",
        "422",
        "The nodes and tensors of the graph do not fit together.",
    ),
    ModelProblem(
        "duplicate-function function-recursion",
        "422",
        "A function of the model is defined twice, or calls itself.",
    ),
    ModelProblem(
        "missing-input missing-attribute attribute-type output-count too-many-outputs",
        "422",
        "A node without what its operator needs, or with too much.",
    ),
    ModelProblem(
        "missing-subgraph subgraph-inputs branch-mismatch scan-inputs",
        "422",
        "The subgraphs of If, Loop or Scan do not fit their node.",
    ),
    ModelProblem(
        "rank-mismatch shape-missing axis-range size-range step-zero negative-dimension slice-mismatch scan-lengths",
        "422",
        "Shapes or axes that the operator cannot have.",
    ),
    ModelProblem(
        "unknown-input input-shape-rank input-shape-conflict",
        "422",
        "The option `input_shapes` does not fit the inputs of the model.",
    ),
    ModelProblem(
        "channels-mismatch matrix-mismatch bias-shape kernel-rank kernel-shape-mismatch kernel-shape-missing group-mismatch "
        "hidden-size-mismatch",
        "422",
        "A kernel that does not fit its input or its attributes.",
    ),
    ModelProblem(
        "strides-range strides-rank dilations-range dilations-rank kernel-shape-range kernel-shape-rank pads-range pads-rank "
        "scales-rank sizes-rank output-padding-range output-shape-range scales-range border-range blocksize-range",
        "422",
        "Geometry out of range.",
    ),
    ModelProblem(
        "unknown-auto-pad unknown-direction unknown-pad-mode unknown-resize-mode einsum-equation",
        "422",
        "An attribute with a value that does not exist.",
    ),
    ModelProblem(
        "tensor-size tensor-type tensor-unreadable weight-unreadable sparse-indices quantization-shape",
        "422",
        "Stored values that do not fit their type or shape.",
    ),
    ModelProblem(
        "external-missing external-path external-key external-range external-checksum",
        "422",
        "External data that was not sent, or that the model describes wrongly.",
    ),
    ModelProblem(
        "no-field no-picture",
        "422",
        "The layer has no local receptive field there, or the image cannot be drawn on.",
    ),
    ModelProblem(
        "invalid-option",
        "422",
        "The option of a picture does not fit the layer.",
    ),
    ModelProblem(
        "document-too-large too-deep too-many-nodes input-too-large kernel-too-large field-too-large grid-too-large",
        "422",
        "Beyond a limit.",
    ),
    ModelProblem(
        "limit",
        "422",
        "Beyond a limit: the rest of the code names which, such as `limit-nodes`, `limit-names`, `limit-tensor`.",
    ),
)
"""`limit` stands for every code that begins so and is in no table by itself."""

DOCUMENTED = frozenset(PROBLEM_TYPES) | {name for each in MODEL_PROBLEMS for name in each.names}
"""The codes that have an anchor on the page /docs."""


def anchor_of(code: str) -> str:
    """Where the page /docs says what a code means: at the code itself, or at the limits."""
    return "limit" if code.startswith("limit-") and code not in DOCUMENTED else code


def model_problems_table() -> str:
    """The problems of a model as a Markdown table, as docs/problems.md shows it."""
    rows = [f"| {' '.join(f'`{name}`' for name in each.names)} | {each.statuses} | {each.when} |" for each in MODEL_PROBLEMS]
    return "\n".join(["| code | status | when |", "|---|---|---|", *rows])
