# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Table of static W8A8 on the vision models, beside ONNX Runtime's quantizer.

    python scripts/static_table.py [--method=mse] [MODEL...]

Each model is calibrated on samples that are not scored, chosen here:

    mnist        test images 2000 to 2127; scored: the first 1000
    resnet20/56  the first 64 of the 368 images; scored: the other 304
    lprnet       the first 100 of the 1000 plates; scored: the other 900
    mobilenetv2  photographs 8 to 33; outputs compared on the first 8
    yolox-nano   photographs 8 to 33; outputs compared on the first 8
    fastestdet   all 34 photographs; outputs compared on the author's 5 pictures
    magika       the first 64 of the 129 files; compared on the other 65

ONNX Runtime's column is `quantize_static` (QDQ, unsigned activations, weights per
channel) on the same samples with the same calibrator, or MinMax for one that it does
not have (mse), run by ONNX Runtime.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import evaluation as ev
import nibble
import numpy as np
import shared_inputs as si

# Calibrators of nibble-calibrate that ONNX Runtime has, too.
ORT_METHODS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}


@dataclass(frozen=True)
class Split:
    """Samples of a model's one input, each for one run, and what they must give."""

    calibration: np.ndarray
    scored: np.ndarray
    # Number of right answers among outputs, one a row; None: only the cosine counts.
    count_right: Callable[[np.ndarray], int] | None = None


def labelled(images: np.ndarray, labels: np.ndarray, first: int) -> Split:
    """The first images calibrate, the others are scored."""

    def right(rows: np.ndarray) -> int:
        return int((rows.argmax(-1) == labels[first:]).sum())

    return Split(images[:first], images[first:], right)


def _mnist() -> Split:
    images, labels = ev.mnist_test(2128)

    def right(rows: np.ndarray) -> int:
        return int((rows.argmax(-1) == labels[:1000]).sum())

    return Split(images[2000:], images[:1000], right)


def _plates() -> Split:
    pictures, texts = si.plates()

    def right(rows: np.ndarray) -> int:
        read = (si.read_plate(row.reshape(68, 18)) for row in rows)
        return sum(map(str.__eq__, read, texts[100:]))

    return Split(pictures[:100], pictures[100:], right)


def _photographs(batch: np.ndarray) -> Split:
    return Split(batch[8:], batch[:8])


def _fastestdet() -> Split:
    pictures = [si._picture(file, (352, 352))[::-1] for file in si.coco_files()]
    return Split(np.stack(pictures).astype(np.float32) / 255, si.street_scenes())


def _magika() -> Split:
    features, labels, _ = si.magika_examples()
    names = si.magika_labels()
    return labelled(features, np.asarray([names.index(label) for label in labels]), 64)


SPLITS: dict[str, Callable[[], Split]] = {
    "mnist": _mnist,
    "resnet20": lambda: labelled(*ev.cifar_test(), 64),
    "resnet56": lambda: labelled(*ev.cifar_test(), 64),
    "lprnet": _plates,
    "mobilenetv2": lambda: _photographs(si.imagenet_like(34)),
    "yolox-nano": lambda: _photographs(si.letterboxed(34)),
    "fastestdet": _fastestdet,
    "magika": _magika,
}


def run(model, samples: np.ndarray) -> np.ndarray:
    """All outputs of each sample as a row."""
    name = next(iter(model.input_shapes))
    rows = []
    for sample in samples:
        outputs = model.run({name: sample[None]}).values()
        rows.append(np.concatenate([output.ravel() for output in outputs]))
    return np.stack(rows)


def calibrate(model: Path, samples: np.ndarray, method: str, folder: Path) -> Path:
    """Statistics of nibble-calibrate over the samples."""
    name = next(iter(ev.Reference(model).input_shapes))
    data, out = folder / "samples.npz", folder / f"{method}.yaml"
    np.savez(data, **{name: samples})
    command = [ev.tool("nibble-calibrate"), str(model), f"--data={data}", "-o", str(out)]
    subprocess.run([*command, f"--method={method}", "--batch=1"], check=True)
    return out


def quantize_with_onnxruntime(
    model: Path, samples: np.ndarray, method: str, folder: Path
) -> Path:
    """The model of ONNX Runtime's own static quantizer."""
    ev.onnxruntime()
    from onnxruntime import quantization as ort
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = next(iter(ev.Reference(model).input_shapes))

    class Reader(ort.CalibrationDataReader):
        def __init__(self):
            self._samples = iter(samples)

        def get_next(self):
            sample = next(self._samples, None)
            return None if sample is None else {name: sample[None]}

    import onnx
    from onnx import version_converter

    prepared, out = folder / "prepared.onnx", folder / "onnxruntime.onnx"
    loaded = onnx.load(model)
    # Scales per channel exist from operator set 13 on.
    if next(o.version for o in loaded.opset_import if o.domain in ("", "ai.onnx")) < 13:
        loaded = version_converter.convert_version(loaded, 13)
    onnx.save(loaded, prepared)
    quant_pre_process(str(prepared), str(prepared), skip_symbolic_shape=True)
    ort.quantize_static(
        str(prepared),
        str(out),
        Reader(),
        quant_format=ort.QuantFormat.QDQ,
        per_channel=True,
        activation_type=ort.QuantType.QUInt8,
        weight_type=ort.QuantType.QInt8,
        calibrate_method=getattr(ort.CalibrationMethod, ORT_METHODS.get(method, "MinMax")),
        # The check of biases fails on scales per channel in ONNX Runtime 1.31.
        extra_options={"QDQDisableWeightAdjustForInt32Bias": True},
    )
    return out


def describe(rows: np.ndarray, wanted: np.ndarray, split: Split) -> str:
    text = f"cosine {ev.cosine(rows, wanted):.5f}"
    if split.count_right:
        text = f"{split.count_right(rows)} of {len(rows)}, {text}"
    return text


def measure(name: str, method: str) -> list[str]:
    """Cells of the row of one model."""
    split, model = SPLITS[name](), si.EXAMPLES[name].path()
    wanted = run(ev.Reference(model), split.scored)
    cells = [name, describe(wanted, wanted, split)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start = time.time()
        statistics = calibrate(model, split.calibration, method, folder)
        seconds = time.time() - start
        options = ["--quantize=W8A8", f"--calibration={statistics}"]
        report, binary = folder / "report.json", folder / "model.so"
        nibble.compile(model, binary, options=[*options, f"--report={report}"])
        quantized = nibble.Model(binary)
        ours = run(quantized, split.scored)
        cells.append(describe(ours, wanted, split))
        layers = json.loads(report.read_text())["layers"]
        integers = sum(layer["scheme"] == "W8A8" for layer in layers)
        cells.append(f"{integers} of {len(layers)}")
        qdq = folder / "qdq.onnx"
        nibble.compile(model, qdq, options=[*options, "--emit=qdq-onnx"])
        cells.append(describe(run(ev.Reference(qdq), split.scored), wanted, split))
        try:
            theirs = quantize_with_onnxruntime(model, split.calibration, method, folder)
            cells.append(describe(run(ev.Reference(theirs), split.scored), wanted, split))
        except Exception as error:  # whatever another program raises goes into the table
            cells.append(f"fails: {type(error).__name__}")
        cells.append(f"{seconds:.1f}")
    return cells


TITLES = [
    "Model",
    "Float",
    "Nibble W8A8",
    "Integer layers",
    "Nibble's QDQ in ONNX Runtime",
    "quantize_static",
    "Calibration, s",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help=f"of {', '.join(SPLITS)} (default: all)")
    parser.add_argument("--method", default="mse", help="of nibble-calibrate (default mse)")
    arguments = parser.parse_args()
    unknown = set(arguments.models) - set(SPLITS)
    if unknown:
        sys.exit(f"unknown model {', '.join(sorted(unknown))}: expected {', '.join(SPLITS)}")
    print("| " + " | ".join(TITLES) + " |")
    print("|" + "---|" * len(TITLES), flush=True)
    for name in arguments.models or SPLITS:
        try:
            print("| " + " | ".join(measure(name, arguments.method)) + " |", flush=True)
        except ev.Missing as reason:
            print(f"{name}: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
