# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models that were imported, normalised and exported again compute the same in ONNX Runtime."""

import fnmatch
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import support as s

sys.path.insert(0, str(s.ROOT / "test/conformance"))
import run_node_tests as conformance  # noqa: E402

# Sizes that are not free in a model: what inputs of these names need.
SIZES = {
    "silero_vad_16k_op15": {"input": (1, 512), "state": (2, 1, 128)},
    "silero_vad_op18_ifless": {"input": (1, 512), "state": (2, 1, 128)},
}
VALUES = {"sr": 16000}


def models() -> list[Path]:
    shared = sorted(s.SHARED.rglob("*.onnx")) if s.SHARED.exists() else []
    return sorted(s.MODELS.glob("*.onnx")) + shared


def random_inputs(path: Path, reference: s.Reference) -> dict:
    """Numbers that suit any model: floats in [0, 1), integers 0 and 1, free sizes 3."""
    rng = np.random.default_rng(3)
    fixed = SIZES.get(path.stem, {})
    arrays = {}
    for info in reference.inputs():
        sizes = [d if isinstance(d, int) else 3 for d in info.shape]
        shape = fixed.get(info.name, tuple(sizes))
        if "float" in info.type:
            arrays[info.name] = rng.random(shape, np.float32)
        else:
            arrays[info.name] = rng.integers(0, 2, shape).astype(info.type[7:-1])
        if info.name in VALUES:
            arrays[info.name][...] = VALUES[info.name]
    return arrays


class Session(s.Reference):
    def inputs(self):
        return self._session.get_inputs()


class Export(unittest.TestCase):
    def setUp(self):
        s.onnxruntime()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def check(self, path: Path, exported: Path):
        original = Session(path)
        feeds = random_inputs(path, original)
        expected = original.run(feeds)
        results = s.Reference(exported).run(feeds)
        self.assertEqual(list(results), list(expected))
        for name, array in expected.items():
            self.assertEqual(results[name].dtype, array.dtype, name)
            np.testing.assert_allclose(results[name], array, 1e-3, 1e-4, err_msg=name)

    def test_normalised_models(self):
        for path in models():
            with self.subTest(path.name):
                out = self.folder / path.name
                ran = s.run_tool("nibble-compile", path, "-o", out)
                self.assertEqual(ran.returncode, 0, ran.stderr)
                self.check(path, out)

    def test_translated_models(self):
        for path in models():
            with self.subTest(path.name):
                text, normal = self.folder / "a.mlir", self.folder / "b.mlir"
                out = self.folder / path.name
                # The exporter writes one operator set: normalise first.
                for command in (
                    ["nibble-translate", "--import-onnx", path, "-o", text],
                    ["nibble-opt", "--onnx-normalize-opset", text, "-o", normal],
                    ["nibble-translate", "--export-onnx", normal, "-o", out],
                ):
                    ran = s.run_tool(*command)
                    self.assertEqual(ran.returncode, 0, ran.stderr)
                self.check(path, out)

    def test_operators(self):
        """A sample of ONNX's operator tests: each exported model gives the expected results."""
        import onnx

        data = s.shared("onnx-backend-tests")
        tests = conformance.find_tests(data, self.folder)[::17]
        known = ("expanded", "training", "bernoulli")
        failing = conformance.read_list(conformance.LISTS[False])
        for test in tests:
            if any(fnmatch.fnmatch(test.name, f"*{part}*") for part in known):
                continue
            graph = onnx.load(test / "model.onnx").graph
            tensors = all(v.type.HasField("tensor_type") for v in (*graph.input, *graph.output))
            # Sequences are files of another kind: test_sequences.py compares them.
            if test.name in failing or not tensors:
                continue
            with self.subTest(test.name):
                out = self.folder / "operator.onnx"
                ran = s.run_tool("nibble-compile", test / "model.onnx", "-o", out)
                if "not supported" in ran.stderr:
                    continue
                self.assertEqual(ran.returncode, 0, ran.stderr)
                exported = onnx.load(out)
                onnx.checker.check_model(exported)
                case = min(test.glob("test_data_set_*"))

                def read(kind: str, values) -> dict:
                    files = [case / f"{kind}_{i}.pb" for i in range(len(values))]
                    arrays = [onnx.numpy_helper.to_array(onnx.load_tensor(f)) for f in files]
                    return dict(zip([v.name for v in values], arrays))

                self.compare(exported, read("input", graph.input), read("output", graph.output))

    def compare(self, model, feeds: dict, expected: dict):
        import onnx.reference

        try:
            results = s.Reference(model.SerializeToString()).run(feeds)
        except Exception:  # An operator or type that ONNX Runtime lacks.
            values = onnx.reference.ReferenceEvaluator(model).run(None, feeds)
            results = dict(zip([v.name for v in model.graph.output], values))
        for name, array in expected.items():
            got = np.asarray(results[name])
            self.assertEqual((got.dtype, got.shape), (array.dtype, array.shape), name)
            if array.dtype.kind in "fV":
                got, array = got.astype(np.float64), array.astype(np.float64)
                np.testing.assert_allclose(got, array, 1e-2, 1e-3, err_msg=name)
            else:
                np.testing.assert_array_equal(got, array, name)


if __name__ == "__main__":
    unittest.main()
