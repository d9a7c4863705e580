"""Models whose names are hostile: markup of HTML and Markdown, a formula, reordering characters, line breaks, and one that is only long."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

HOSTILE_NAMES = (
    "<script>document.title='taken'</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}</style></script>",
    "=cmd()",
    "abc\u202ecba",
    "two\nlines\u0000\u2028",
    "n" * 3000,
    "[a](https://example.org)|![b](c)`d` <b>**e** @everyone www.example.org",
)
MODEL_NAME = "".join(HOSTILE_NAMES[:6])


def hostile_model() -> bytes:
    """An ONNX model of one convolution for each name; every one of them leaves pixels unread, so that all names are in findings too."""
    weights = np.ones((1, 1, 1, 1), np.float32)
    nodes, initializers, last = [], [], "image"
    for number, name in enumerate(HOSTILE_NAMES):
        initializers.append(numpy_helper.from_array(weights, f"{name} weight {number}"))
        output = f"{name} output {number}"
        nodes.append(helper.make_node("Conv", [last, f"{name} weight {number}"], [output], name, strides=[2, 2]))
        last = output
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 1, 256, 256])
    result = helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, MODEL_NAME, [image], [result], initializers)
    model = helper.make_model(graph, producer_name=MODEL_NAME, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()
