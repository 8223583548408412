"""Checks a model and compares its results with those of another one.

usage: compare_models.py ORIGINAL EXPORTED [--dim NAME=N]... [--value NAME=V]...
       [--rtol R]

Both run in ONNX Runtime on the same random inputs, or on the given values.
Prints the largest difference of each output, relative to its largest absolute
value.
"""

import argparse

import numpy as np
import onnx
import onnxruntime

# ONNX Runtime reads no newer ones.
NEWEST_OPSET = 26


def make_input(value, dims, random):
    shape = [size if isinstance(size, int) else dims.get(size, 2)
             for size in value.shape]
    if value.type == "tensor(float)":
        return random.standard_normal(shape).astype(np.float32)
    if value.type == "tensor(bool)":
        return random.integers(0, 2, shape).astype(bool)
    kinds = {"tensor(int64)": np.int64, "tensor(int32)": np.int32,
             "tensor(uint8)": np.uint8}
    return random.integers(0, 100, shape).astype(kinds[value.type])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("original")
    parser.add_argument("exported")
    parser.add_argument("--dim", action="append", default=[])
    parser.add_argument("--value", action="append", default=[])
    parser.add_argument("--rtol", type=float, default=1e-5)
    arguments = parser.parse_args()

    onnx.checker.check_model(arguments.exported, full_check=True)
    model = onnx.load(arguments.exported, load_external_data=False)
    assert model.opset_import[0].version <= NEWEST_OPSET, model.opset_import
    dims = {name: int(size) for name, size in
            (text.rsplit("=", 1) for text in arguments.dim)}

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    sessions = [
        onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        for path in (arguments.original, arguments.exported)]
    random = np.random.default_rng(0)
    inputs = {value.name: make_input(value, dims, random)
              for value in sessions[0].get_inputs()}
    for name, number in (text.rsplit("=", 1) for text in arguments.value):
        inputs[name] = np.full_like(inputs[name], float(number))
    names = [value.name for value in sessions[0].get_outputs()]
    assert names == [value.name for value in sessions[1].get_outputs()]
    for name, want, got in zip(
            names, *(session.run(names, inputs) for session in sessions)):
        assert want.shape == got.shape and want.dtype == got.dtype, name
        scale = np.abs(want).max(initial=1e-30)
        error = np.abs(want.astype(np.float64) - got).max(initial=0) / scale
        print(f"{name}: {error:.1e}")
        assert error <= arguments.rtol, name
    print("equal")


if __name__ == "__main__":
    main()
