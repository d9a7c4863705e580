"""Train the example network of this folder on photographs that ship inside scikit-image and scikit-learn, and write it as ONNX.

    python3.11 -m venv training && . training/bin/activate
    pip install torch==2.13.0 scikit-image==0.26.0 scikit-learn==1.9.1 onnx==1.23.2
    python examples/train_photographs.py

Nothing is downloaded: the photographs lie inside two of the packages. The service needs none of these packages but onnx.
The training has two stages:

1. The first layer learns a convolutional sparse code of the whitened photographs: few, non-negative activities of 48 kernels are to
   explain every patch (Olshausen and Field 1996; convolutional as in Zeiler et al. 2010). What comes out is oriented edges and
   blobs and edges of opponent colours. The second and the third layer learn the same for larger patches, with sums of the kernels below.
2. The whole network learns to tell from which photograph a crop was taken, with small steps for these layers.

It writes photographs.onnx, and photographs-pruned.onnx: the same weights with the 60 % smallest of each layer set to zero and no
training after that.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import skimage.data
import sklearn.datasets
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional

Array = NDArray[np.float32]

SEED = 20
SIDE = 64  # the network reads 3 × 64 × 64
BLOCK = 128  # photographs are split into blocks of this side; every second one in both directions is kept for testing
SCALES = (1.0, 0.8, 0.6)  # of the crops; at the smallest a crop still fits between two test blocks
CODE_SCALES = (0.75, 0.5)  # of the sparse code: smaller photographs are sharper and freer of compression noise
RESIZE_REACH = 6  # source pixels beyond its own place that a resized pixel draws on
FILTERS = (48, 32, 48)  # of the first, the second and the deeper convolutions
KERNEL = 11
STRIDE = 2

_SKIMAGE = Path(skimage.data.__file__).parent
_SKLEARN = Path(sklearn.datasets.__file__).parent / "images"
PHOTOGRAPHS = {
    "astronaut": _SKIMAGE / "astronaut.png",
    "brick": _SKIMAGE / "brick.png",
    "camera": _SKIMAGE / "camera.png",
    "cat": _SKIMAGE / "chelsea.png",
    "coffee": _SKIMAGE / "coffee.png",
    "coins": _SKIMAGE / "coins.png",
    "flower": _SKLEARN / "flower.jpg",
    "galaxies": _SKIMAGE / "hubble_deep_field.jpg",
    "grass": _SKIMAGE / "grass.png",
    "gravel": _SKIMAGE / "gravel.png",
    "moon": _SKIMAGE / "moon.png",
    "motorcycle": _SKIMAGE / "motorcycle_left.png",
    "retina": _SKIMAGE / "retina.jpg",
    "rocket": _SKIMAGE / "rocket.jpg",
    "temple": _SKLEARN / "china.jpg",
    "tissue": _SKIMAGE / "ihc.png",
}
# The sparse code is learnt from scenes and textures only: the sky, the eye and the stained tissue have statistics of their own.
NATURAL = ("astronaut", "cat", "coffee", "motorcycle", "rocket", "temple", "flower", "camera", "brick", "grass", "gravel")

# Orthonormal rows: luminance, red against green, blue against yellow.
OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [-0.5, -0.5, 1]]) / np.sqrt([[3.0], [2.0], [1.5]])
CHROMA_GAIN = 2.3  # photographs hold little chromatic energy; this much more of it earns colour about a fifth of the kernels


def load(name: str, scale: float) -> Array:
    """The photograph as an array (height, width, 3) of values from 0 to 1, resized by ``scale``."""
    image = Image.open(PHOTOGRAPHS[name]).convert("RGB")
    if scale != 1.0:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.float32) / 255


# --- stage 1: a convolutional sparse code -----------------------------------------------------------------------------


def whitened(image: Array) -> torch.Tensor:
    """The photograph (height, width, 3) as opponent channels (3, height, width) with a flattened spectrum and evened contrast.

    The filter f·exp(-(f/f0)^4) is that of Olshausen and Field 1996; chroma is blurred more, as its fine detail is compression noise.
    """
    margin = 24
    planes = np.tensordot(image.astype(np.float64), OPPONENT.T, 1).transpose(2, 0, 1)
    planes = np.pad(planes - planes.mean((1, 2), keepdims=True), ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    frequency = np.hypot(np.fft.fftfreq(planes.shape[1])[:, None], np.fft.rfftfreq(planes.shape[2])[None])
    cutoff = np.array([0.32, 0.19, 0.19])[:, None, None]
    gain = frequency * np.exp(-((frequency / cutoff) ** 4)) * np.array([1.0, CHROMA_GAIN, CHROMA_GAIN])[:, None, None]
    flat = np.fft.irfft2(np.fft.rfft2(planes) * gain, s=planes.shape[1:])[:, margin:-margin, margin:-margin]
    contrast = np.sqrt(gaussian_filter((flat**2).sum(0), 8))
    return torch.tensor(flat / (contrast + 0.3 * np.median(contrast) + 1e-3), dtype=torch.float32)


def window(kernel: int, width: float = 0.29) -> torch.Tensor:
    """A smooth round window (kernel, kernel) that keeps weights centred and lets them fade out before the border."""
    offset = np.arange(kernel) - (kernel - 1) / 2
    radius = (offset[:, None] ** 2 + offset[None] ** 2) / (2 * (width * kernel) ** 2)
    return torch.tensor(np.exp(-(radius**1.5)), dtype=torch.float32)


def drawn(weights: torch.Tensor, below: torch.Tensor, jump: int) -> torch.Tensor:
    """The kernels as pictures (filters, 3, height, width): weighted sums of the pictures below, whose units lie ``jump`` pixels apart."""
    filters, channels, height, width = weights.shape
    spread = torch.zeros(filters, channels, (height - 1) * jump + 1, (width - 1) * jump + 1)
    spread[:, :, ::jump, ::jump] = weights
    return functional.conv_transpose2d(spread, below)


def curvature(kernels: torch.Tensor) -> float:
    """The largest eigenvalue of the reconstruction operator, by power iteration: the inverse of the step of `sparse_code`."""
    code = torch.ones(1, len(kernels), 16, 16)
    for _ in range(8):
        code = functional.conv2d(functional.conv_transpose2d(code / code.norm(), kernels, stride=STRIDE), kernels, stride=STRIDE)
    return float(code.norm()) * 1.2


def sparse_code(patches: torch.Tensor, kernels: torch.Tensor, penalty: float, rounds: int = 20) -> torch.Tensor:
    """The non-negative activities that explain the patches with an L1 penalty, by FISTA (Beck and Teboulle 2009)."""
    step = 1 / curvature(kernels)
    evidence = functional.conv2d(patches, kernels, stride=STRIDE)
    code = ahead = torch.zeros_like(evidence)
    momentum = 1.0
    for _ in range(rounds):
        explained = functional.conv2d(functional.conv_transpose2d(ahead, kernels, stride=STRIDE), kernels, stride=STRIDE)
        following = (ahead - step * (explained - evidence + penalty)).clamp_min(0)
        grown = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = following + (momentum - 1) / grown * (following - code)
        code, momentum = following, grown
    return code


def turned(patch: torch.Tensor, turn: int) -> torch.Tensor:
    """The patch (channels, height, width) under one of the eight symmetries of the square."""
    patch = torch.rot90(patch, turn % 4, (1, 2))
    return patch.flip(2) if turn > 3 else patch


class Scenes:
    """Random patches of the whitened photographs."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.scenes = [whitened(load(name, scale)) for name in NATURAL for scale in CODE_SCALES]

    def patches(self, count: int, side: int) -> torch.Tensor:
        """Patches (count, 3, side, side), turned at random."""
        patches = []
        for _ in range(count):
            scene = self.scenes[self.generator.integers(len(self.scenes))]
            top, left = self.generator.integers(scene.shape[1] - side), self.generator.integers(scene.shape[2] - side)
            patches.append(turned(scene[:, top : top + side, left : left + side], int(self.generator.integers(8))))
        return torch.stack(patches)


@dataclass(frozen=True)
class Stage:
    """How one layer of the sparse code is learnt."""

    filters: int
    kernel: int
    jump: int  # pixels between two units of the layer below
    penalty: float
    rate: float
    window: float
    batch: int
    steps: int


FIRST = Stage(filters=FILTERS[0], kernel=KERNEL, jump=1, penalty=0.5, rate=0.3, window=0.29, batch=12, steps=300)
SECOND = Stage(filters=FILTERS[1], kernel=5, jump=STRIDE, penalty=1.5, rate=0.08, window=0.45, batch=8, steps=160)
THIRD = Stage(filters=FILTERS[2], kernel=3, jump=2 * STRIDE, penalty=1.5, rate=0.08, window=0.45, batch=6, steps=80)


def learn(stage: Stage, below: torch.Tensor, scenes: Scenes) -> torch.Tensor:
    """Weights (filters, channels, kernel, kernel) whose pictures, sums of those below, explain the scenes; the most used first."""
    taper = window(stage.kernel, stage.window)
    weights = torch.randn(stage.filters, len(below), stage.kernel, stage.kernel) * taper**2
    side = STRIDE * (23 if stage.jump == 1 else 16) + below.shape[2] + stage.jump * (stage.kernel - 1)
    usage = torch.zeros(stage.filters)
    for step in range(stage.steps):
        target = scenes.patches(stage.batch, side)
        weights = weights / drawn(weights, below, stage.jump).flatten(1).norm(dim=1)[:, None, None, None]
        code = sparse_code(target, drawn(weights, below, stage.jump), stage.penalty)
        weights.requires_grad_(True)
        residue = functional.conv_transpose2d(code, drawn(weights, below, stage.jump), stride=STRIDE) - target
        (gradient,) = torch.autograd.grad((residue**2).sum() / (2 * stage.batch), weights)
        energy = (code**2).sum((0, 2, 3)) / stage.batch
        usage = 0.95 * usage + 0.05 * (code > 0).float().mean((0, 2, 3))
        rate = stage.rate * (1 - 0.8 * step / stage.steps)
        weights = weights.detach() - taper**2 * rate * gradient / (energy + energy.mean() / 2)[:, None, None, None]
        if stage.jump == 1:  # the first layer gives no answer to mere brightness, nor do the sums of it
            weights[:, 0] -= (weights[:, 0] * taper).sum((1, 2), keepdim=True) / (taper**2).sum() * taper
        if step % 50 == 0 or step == stage.steps - 1:
            unexplained, active = float((residue.detach() ** 2).sum() / (target**2).sum()), float((code > 0).float().mean())
            print(f"sparse code {step:4d}: unexplained {unexplained:.3f}, active {active:.3f}", flush=True)
    weights = weights / drawn(weights, below, stage.jump).flatten(1).norm(dim=1)[:, None, None, None]
    return weights[torch.argsort(usage, descending=True)].contiguous()


# --- stage 2: which photograph is this a crop of? ---------------------------------------------------------------------


class Photographs(nn.Module):
    """Four convolutions, two max poolings, one residual join and a linear head; reads (n, 3, 64, 64), answers a score per photograph."""

    def __init__(self) -> None:
        super().__init__()
        first, second, deeper = FILTERS
        self.conv1 = nn.Conv2d(3, first, KERNEL, stride=STRIDE, padding=KERNEL // 2)
        self.conv2 = nn.Conv2d(first, second, 5, padding=2, bias=False)
        self.norm2 = nn.BatchNorm2d(second)
        self.conv3 = nn.Conv2d(second, deeper, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(deeper)
        self.conv4 = nn.Conv2d(deeper, deeper, 3, padding=1, bias=False)
        self.norm4 = nn.BatchNorm2d(deeper)
        self.classes = nn.Linear(deeper, len(PHOTOGRAPHS))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The scores (n, photographs) before the softmax."""
        pool2 = functional.max_pool2d(functional.relu(self.norm2(self.conv2(functional.relu(self.conv1(image))))), 3, 2, 1)
        pool3 = functional.max_pool2d(functional.relu(self.norm3(self.conv3(pool2))), 3, 2, 1)
        joined = functional.relu(pool3 + self.norm4(self.conv4(pool3)))
        scores: torch.Tensor = self.classes(functional.dropout(joined.mean((2, 3)), 0.2, self.training))
        return scores


class Crops:
    """Crops of the photographs, for training or for testing; the two never share a pixel of a photograph."""

    def __init__(self) -> None:
        self.scaled = [[load(name, scale) for scale in SCALES] for name in PHOTOGRAPHS]

    def _touches_test(self, top: float, left: float, side: float) -> bool:
        rows, columns = (range(max(int(start), 0) // BLOCK, int(start + side) // BLOCK + 1) for start in (top, left))
        return any(row % 2 and column % 2 for row in rows for column in columns)

    def train(self, which: int, generator: np.random.Generator) -> Array:
        """A random crop (64, 64, 3) of photograph ``which`` that touches no test block."""
        level = int(generator.integers(len(SCALES)))
        image, scale = self.scaled[which][level], SCALES[level]
        reach = 0 if scale == 1 else RESIZE_REACH
        while True:
            top, left = int(generator.integers(image.shape[0] - SIDE + 1)), int(generator.integers(image.shape[1] - SIDE + 1))
            if not self._touches_test(top / scale - reach, left / scale - reach, SIDE / scale + 2 * reach):
                return image[top : top + SIDE, left : left + SIDE]

    def test(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Four 64 × 64 crops of every test block at full scale, with the index of the photograph of each."""
        images, labels = [], []
        for label, (image, *_) in enumerate(self.scaled):
            for top in range(BLOCK, image.shape[0] - SIDE + 1, SIDE):
                for left in range(BLOCK, image.shape[1] - SIDE + 1, SIDE):
                    if (top // BLOCK) % 2 and (left // BLOCK) % 2:
                        images.append(image[top : top + SIDE, left : left + SIDE])
                        labels.append(label)
        return torch.tensor(np.stack(images).transpose(0, 3, 1, 2)), torch.tensor(labels)

    def batch(self, size: int, generator: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A training batch (size, 3, 64, 64) with labels: crops turned, with changed contrast and tint, three in ten without colour."""
        labels = generator.integers(len(self.scaled), size=size)
        images = []
        for label in labels:
            crop = torch.tensor(self.train(int(label), generator).transpose(2, 0, 1))
            crop = turned(crop, int(generator.integers(8)))
            if generator.random() < 0.3:
                crop = crop.mean(0, keepdim=True).expand(3, -1, -1)
            tint = torch.tensor(generator.uniform(0.92, 1.08, (3, 1, 1)) * generator.uniform(0.75, 1.25), dtype=torch.float32)
            images.append((crop * tint + float(generator.uniform(-0.08, 0.08))).clamp(0, 1))
        return torch.stack(images), torch.tensor(labels)


def start(network: Photographs, first: torch.Tensor, second: torch.Tensor, third: torch.Tensor, images: torch.Tensor) -> None:
    """Put the sparse code in the first three layers; each first filter is scaled to answer the images with a standard deviation of 1."""
    with torch.no_grad():
        network.conv1.weight.copy_(first)
        network.conv1.bias.zero_()
        spread = network.conv1(images).std((0, 2, 3))
        network.conv1.weight.div_(spread[:, None, None, None])
        network.conv1.bias.fill_(-0.25)
        network.conv2.weight.copy_(second * spread[:, None, None])  # so that the second layer's pictures stay what they were
        network.conv3.weight.copy_(third)


def train(network: Photographs, crops: Crops, steps: int, generator: np.random.Generator) -> None:
    """Train the network to name the photograph of a crop; the layers of the sparse code move slowly, the first keeps its window."""
    slow = {"conv1.weight": 1e-4, "conv1.bias": 1e-4, "conv2.weight": 2e-4, "conv3.weight": 5e-4}
    groups = [
        {"params": [parameter], "lr": slow.get(name, 3e-3), "weight_decay": 0.0 if name in slow else 1e-2}
        for name, parameter in network.named_parameters()
    ]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    taper = window(KERNEL)
    network.train()
    for step in range(steps):
        images, labels = crops.batch(64, generator)
        loss = functional.cross_entropy(network(images), labels, label_smoothing=0.05)
        loss.backward()  # type: ignore[no-untyped-call]
        before = network.conv1.weight.detach().clone()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        with torch.no_grad():
            network.conv1.weight.copy_(before + taper * (network.conv1.weight - before))
        if step % 100 == 0 or step == steps - 1:
            print(f"training {step:4d}: loss {float(loss.detach()):.3f}", flush=True)
    network.eval()


def accuracy(network: Photographs, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """The share of the images whose photograph gets the highest score, over all images and as the mean over the photographs."""
    with torch.no_grad():
        right = (network(images).argmax(1) == labels).float()
    return float(right.mean()), float(torch.stack([right[labels == label].mean() for label in labels.unique()]).mean())


def pruned(network: Photographs, share: float) -> Photographs:
    """A copy of the network with the ``share`` smallest weights of every convolution and of the head set to zero."""
    copied = copy.deepcopy(network)
    for layer in (copied.conv1, copied.conv2, copied.conv3, copied.conv4, copied.classes):
        values = layer.weight.data.flatten()
        values[torch.argsort(values.abs(), stable=True)[: round(share * values.numel())]] = 0.0
    return copied


# --- the ONNX file ----------------------------------------------------------------------------------------------------


def onnx_model(network: Photographs, description: str) -> onnx.ModelProto:
    """The network as an ONNX model with one input ``image`` (1, 3, 64, 64) and one output ``probabilities`` (1, photographs)."""
    state = network.state_dict()
    stored = {name: numpy_helper.from_array(value.numpy().astype(np.float32), name) for name, value in state.items() if value.dim()}
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, name: str, inputs: list[str], **attributes: object) -> str:
        output = "probabilities" if operator == "Softmax" else name
        nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def norm(name: str, below: str) -> str:
        parts = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        return add("BatchNormalization", name, [below, *parts], epsilon=1e-5)

    def conv(name: str, below: str, kernel: int) -> str:
        return add("Conv", name, [below, f"{name}.weight"], kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)

    def pool(name: str, below: str) -> str:
        return add("MaxPool", name, [below], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])

    edge = KERNEL // 2
    first = ["image", "conv1.weight", "conv1.bias"]
    top = add("Conv", "conv1", first, kernel_shape=[KERNEL, KERNEL], strides=[STRIDE, STRIDE], pads=[edge] * 4)
    top = norm("norm2", conv("conv2", add("Relu", "relu1", [top]), 5))
    top = norm("norm3", conv("conv3", pool("pool2", add("Relu", "relu2", [top])), 3))
    pool3 = pool("pool3", add("Relu", "relu3", [top]))
    top = add("Add", "join4", [pool3, norm("norm4", conv("conv4", pool3, 3))])
    top = add("Flatten", "flatten", [add("GlobalAveragePool", "pool4", [add("Relu", "relu4", [top])])])
    top = add("Gemm", "classes", [top, "classes.weight", "classes.bias"], transB=1)
    add("Softmax", "softmax", [top], axis=1)
    graph = helper.make_graph(
        nodes,
        "photographs",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(PHOTOGRAPHS)])],
        [stored[name] for node in nodes for name in node.input if name in stored],
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, producer_name="receptive-examples", opset_imports=[opset], ir_version=8, doc_string=description)
    helper.set_model_props(model, {"classes": ",".join(PHOTOGRAPHS), "input": "RGB, 0 to 1"})
    onnx.checker.check_model(model, full_check=True)
    return model


def difference(model: onnx.ModelProto, forward: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> float:
    """The largest difference of the probabilities between the ONNX model and the trained network on the images."""
    evaluator = ReferenceEvaluator(model)
    with torch.no_grad():
        expected = functional.softmax(forward(images), 1).numpy()
    answers = [evaluator.run(None, {"image": image[None].numpy()})[0][0] for image in images]
    return float(np.abs(np.stack(answers) - expected).max())


def main() -> None:
    """Train, measure, prune, measure again, and write both models."""
    arguments = argparse.ArgumentParser(description="Train the example network and write it as ONNX.")
    arguments.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the two ONNX files")
    arguments.add_argument("--steps", type=int, default=600, help="steps of the training on crops")
    options = arguments.parse_args()
    torch.set_num_threads(1)  # with one thread the sums are always taken in the same order
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    generator = np.random.default_rng(SEED)
    scenes = Scenes(generator)
    channels = torch.eye(3)[:, :, None, None]
    first = learn(FIRST, channels, scenes)
    second = learn(SECOND, first, scenes)
    third = learn(THIRD, drawn(second, first, SECOND.jump), scenes)
    crops = Crops()
    network = Photographs()
    colours = torch.tensor(OPPONENT, dtype=torch.float32)
    start(network, torch.einsum("nohw,oc->nchw", first, colours), second, third, crops.batch(128, generator)[0])
    train(network, crops, options.steps, generator)
    images, labels = crops.test()
    for name, trained, description in (
        ("photographs.onnx", network, "Names the photograph a 64 x 64 crop was taken from. Trained by examples/train_photographs.py."),
        ("photographs-pruned.onnx", pruned(network, 0.6), "photographs.onnx with the 60 % smallest weights of every layer set to zero."),
    ):
        model = onnx_model(trained, description)
        path = options.output / name
        path.write_bytes(model.SerializeToString(deterministic=True))
        (overall, mean), error = accuracy(trained, images, labels), difference(model, trained, images[::40])
        print(f"{name}: {path.stat().st_size} bytes, right on {overall:.1%} of {len(labels)} test crops, {mean:.1%} on average of")
        print(f"    {len(PHOTOGRAPHS)} photographs; the ONNX model and the training differ by {error:.0e}")


if __name__ == "__main__":
    main()
