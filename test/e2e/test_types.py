# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Element types that C lacks: every conversion, against ml_dtypes, through every kind of file."""

import sys
import unittest
from unittest import mock

import ml_dtypes
import numpy as np
import onnx
import support as s
from nibble import Model, runtime
from onnx import TensorProto as T
from onnx import helper as h

NARROW = {
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT4E2M1": "float4_e2m1fn",
    "FLOAT6E2M3": "float6_e2m3fn",
    "FLOAT6E3M2": "float6_e3m2fn",
    "INT4": "int4",
    "UINT4": "uint4",
    "INT2": "int2",
    "UINT2": "uint2",
}


def compile_nodes(name: str, nodes, inputs, outputs):
    def values(described):
        return [h.make_tensor_value_info(n, t, ["n"]) for n, t in described.items()]

    graph = h.make_graph(nodes, name, values(inputs), values(outputs))
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 28)], ir_version=14)
    s.WORK.mkdir(parents=True, exist_ok=True)
    path = s.WORK / f"{name}.onnx"
    onnx.save(model, path)
    return s.compile_model(path, [], fresh=True)


def interesting(dtype) -> np.ndarray:
    """Numbers around everything that the narrow types have, and specials."""
    rng = np.random.default_rng(5)
    codes = np.arange(256, dtype=np.uint8)
    exact = np.concatenate(
        [codes.view(getattr(ml_dtypes, n)).astype(np.float64) for n in NARROW.values() if "8" in n]
        + [np.arange(-8, 16) / 4]
    )
    exact = np.unique(exact[np.isfinite(exact)])
    middles = (exact[1:] + exact[:-1]) / 2
    values = np.concatenate([
        exact, middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf),
        middles.astype(np.float32) * (1 + 2.0**-23), rng.normal(0, 10, 5000),
        np.exp(rng.normal(0, 20, 5000)), [0.0, -0.0, np.inf, -np.inf, 1e30, -1e30],
    ])  # fmt: skip
    return values.astype(dtype)


class Types(unittest.TestCase):
    def test_every_code_to_float(self):
        nodes = [h.make_node("Cast", [n], [n + "_f"], to=T.FLOAT) for n in NARROW]
        path = compile_nodes(
            "narrow_to_float", nodes, {n: getattr(T, n) for n in NARROW},
            {n + "_f": T.FLOAT for n in NARROW},
        )  # fmt: skip
        widths = {n: ml_dtypes.iinfo(d).bits if "INT" in n else ml_dtypes.finfo(d).bits
                  for n, d in NARROW.items()}  # fmt: skip
        codes = {n: np.resize(np.arange(2**w, dtype=np.uint8), 256) for n, w in widths.items()}
        arrays = {n: codes[n].view(getattr(ml_dtypes, d)) for n, d in NARROW.items()}
        with Model(path, threads=1) as model:
            self.assertEqual(model.inputs[0].type, "float8_e4m3fn")
            results = model.run(arrays)
            for n in NARROW:
                np.testing.assert_array_equal(results[n + "_f"], arrays[n].astype(np.float32), n)
            # Codes as bytes, with something in the bits that do not count.
            dirty = {n: c | np.uint8(0xFF << widths[n] & 0xFF) for n, c in codes.items()}
            for n, result in model.run(dirty).items():
                np.testing.assert_array_equal(result, results[n], n)

    def test_rounding(self):
        for source, dtype in (("FLOAT", np.float32), ("DOUBLE", np.float64)):
            floats = [n for n in NARROW if "FLOAT" in n]
            nodes = [h.make_node("Cast", ["x"], [n], to=getattr(T, n), saturate=0) for n in floats]
            path = compile_nodes(
                f"{source.lower()}_to_narrow", nodes, {"x": getattr(T, source)},
                {n: getattr(T, n) for n in floats},
            )  # fmt: skip
            x = interesting(dtype)
            with Model(path, threads=1) as model:
                for n, result in model.run({"x": x}).items():
                    expected = x.astype(getattr(ml_dtypes, NARROW[n]))
                    np.testing.assert_array_equal(
                        result.view(np.uint8), expected.view(np.uint8), f"{source} to {n}"
                    )

    def test_without_ml_dtypes(self):
        path = compile_nodes(
            "codes", [h.make_node("Identity", ["x"], ["y"])], {"x": T.INT4}, {"y": T.INT4}
        )
        runtime._dtype.cache_clear()
        self.addCleanup(runtime._dtype.cache_clear)
        with mock.patch.dict(sys.modules, {"ml_dtypes": None}), Model(path) as model:
            self.assertEqual((model.inputs[0].dtype, model.inputs[0].type), (np.uint8, "int4"))
            codes = np.arange(16, dtype=np.uint8)
            np.testing.assert_array_equal(model.run({"x": codes})["y"], codes)

    def test_files(self):
        path = compile_nodes(
            "files", [h.make_node("Cast", ["x"], ["y"], to=T.INT4)], {"x": T.UINT2}, {"y": T.INT4}
        )
        x = np.array([0, 1, 2, 3, 1], np.uint8).view(ml_dtypes.uint2)
        folder = s.WORK / "narrow_files"
        folder.mkdir(exist_ok=True)
        proto = h.make_tensor("x", T.UINT2, [5], x.astype(np.uint8))
        (folder / "x.pb").write_bytes(proto.SerializeToString())
        np.save(folder / "x.npy", x)
        np.savez(folder / "x.npz", x=x.view(np.uint8))
        for name in ("x.pb", "x.npy", "x.npz"):
            ran = s.run_tool(
                "nibble-run", path, "--input", f"x={folder / name}", "--output-dir", folder
            )
            self.assertEqual(ran.returncode, 0, ran.stderr)
            y = np.load(folder / "y.npy").view(ml_dtypes.int4)
            np.testing.assert_array_equal(y.astype(int), [0, 1, 2, 3, 1], name)


if __name__ == "__main__":
    unittest.main()
