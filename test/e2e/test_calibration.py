# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""nibble-calibrate: what it sees, what it keeps, and what it refuses."""

import json
import re
import signal
import struct
import subprocess
import sys
import time
import unittest
from pathlib import Path

import numpy as np
import support as s
from refusal import Refusal, model, value
from support import nibble

import onnx
from onnx import TensorProto, helper, numpy_helper

KEYS = ("min", "max", "mean-absolute", "mean", "mean-square")


def parse(path: Path) -> dict:
    """A statistics file; each entry of its lists is a mapping of flow values."""
    text = Path(path).read_text()
    found = {"tensors": {}, "layers": {}}
    for key in ("samples", "batches"):
        found[key] = int(re.search(rf"^{key}: (\d+)$", text, re.M)[1])
    found["hash"] = re.search(r"hash: (0x\w+)", text)[1]
    section, entry = "", {}
    for line in text.splitlines():
        if match := re.fullmatch(r"(tensors|layers):.*", line):
            section = match[1]
        elif match := re.fullmatch(r"- name: (.*)", line):
            entry = found[section][json.loads(match[1])] = {}
        elif section and (match := re.fullmatch(r"  +([\w-]+): (.+)", line)):
            text_value = match[2]
            entry[match[1]] = (
                text_value if text_value.startswith("{") else json.loads(text_value)
            )
    return found


def read_hessians(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    found = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        begin, end = entry["data_offsets"]
        part = data[8 + length + begin : 8 + length + end]
        found[name] = np.frombuffer(part, np.float32).reshape(entry["shape"])
    return found


def network(batch="batch") -> onnx.ModelProto:
    """x [batch, 3, 6, 6] -> Conv, Relu, GlobalAveragePool, Flatten, Gemm -> y."""
    random = np.random.default_rng(3)
    weights = {
        "w1": random.standard_normal((4, 3, 3, 3)),
        "w2": random.standard_normal((5, 4)),
        "b2": random.standard_normal(5),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["y"], name="fc", transB=1),
    ]
    return model(
        nodes,
        [value("x", batch, 3, 6, 6)],
        [value("y", batch, 5)],
        [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()],
    )


def activations(proto: onnx.ModelProto, feeds: dict) -> dict[str, np.ndarray]:
    """All values by the names of the nodes that make them, by ONNX's evaluator."""
    from onnx.reference import ReferenceEvaluator

    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    names = [node.output[0] for node in proto.graph.node]
    del proto.graph.output[:]
    proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    found = ReferenceEvaluator(proto).run(names, feeds)
    return dict(zip([node.name for node in proto.graph.node], found))


class Tool(Refusal):
    """What the tests share; it has none of its own."""

    def setUp(self):
        super().setUp()
        s.tool("nibble-calibrate")
        self.random = np.random.default_rng(0)
        self.path = self.save(network())

    def run_tool(self, *args, **kwargs):
        return s.run_tool("nibble-calibrate", *args, **kwargs)

    def calibrate(self, data, *options, path=None, name="stats.yaml") -> dict:
        run = self.run_tool(
            path or self.path, f"--data={data}", "-o", self.folder / name, *options
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        return parse(self.folder / name)

    def images(self, count: int) -> np.ndarray:
        return self.random.standard_normal((count, 3, 6, 6)).astype(np.float32)

    def save_npz(self, name="data.npz", **arrays) -> Path:
        np.savez(self.folder / name, **arrays)
        return self.folder / name


class Calibration(Tool):
    """What the statistics say."""

    def test_values_are_those_of_the_model(self):
        x = self.images(7)
        found = self.calibrate(self.save_npz(x=x), "--hessian")
        expected = {"x": x, **activations(network(), {"x": x})}
        self.assertEqual(found["samples"], 7)
        for name, array in expected.items():
            tensor = found["tensors"][name]
            self.assertEqual(tensor["count"], array.size, name)
            self.assertEqual(tensor["batches"], 7, name)
            np.testing.assert_allclose(tensor["min"], array.min(), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(tensor["max"], array.max(), rtol=1e-5, atol=1e-6)
            self.assertEqual(tensor["range"], [tensor["min"], tensor["max"]])
        hessians = read_hessians(self.folder / "stats.yaml.hessians.safetensors")
        rows = expected["flat"]
        layer = found["layers"]["fc"]
        self.check_layer(layer, rows)
        np.testing.assert_allclose(hessians["fc"], rows.T @ rows, rtol=1e-4, atol=1e-4)
        self.check_layer(found["layers"]["conv"], x.transpose(0, 2, 3, 1).reshape(-1, 3))
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 27)
        np.testing.assert_allclose(hessians["conv"], rows.T @ rows, rtol=1e-3, atol=1e-3)

    def check_layer(self, layer: dict, rows: np.ndarray):
        self.assertEqual(layer["rows"], len(rows))
        wanted = (rows.min(0), rows.max(0), abs(rows).mean(0), rows.mean(0), (rows**2).mean(0))
        for key, numbers in zip(KEYS, wanted):
            np.testing.assert_allclose(layer[key], numbers, rtol=1e-4, atol=1e-5, err_msg=key)
        token = abs(rows).max(1)
        np.testing.assert_allclose(
            layer["token-absmax"], [token.min(), token.mean(), token.max()], rtol=1e-4
        )

    def test_forms_of_data_are_equal(self):
        x = self.images(6)
        expected = self.calibrate(self.save_npz(x=x, labels=np.arange(6)))["tensors"]
        np.savez_compressed(self.folder / "packed.npz", x=x)
        np.savez(self.folder / "whole.npz", x=x[:, None])
        np.save(self.folder / "x.npy", np.asfortranarray(x))
        single, named, sets = (self.folder / n for n in ("single", "named", "sets"))
        for folder in (single, named, sets):
            folder.mkdir()
        np.save(named / "x.npy", x)
        for i, image in enumerate(x):
            np.save(single / f"{i}.npy", image)
            (sets / f"test_data_set_{i}").mkdir()
            (sets / f"test_data_set_{i}" / "input_0.pb").write_bytes(
                numpy_helper.from_array(image[None]).SerializeToString()
            )
        for data in ("packed.npz", "whole.npz", "x.npy", "single", "named", "sets"):
            with self.subTest(data):
                self.assertEqual(self.calibrate(self.folder / data)["tensors"], expected)

    def test_batches_and_samples(self):
        data = self.save_npz(x=self.images(10))
        found = self.calibrate(data, "--batch=4")
        self.assertEqual((found["samples"], found["batches"]), (10, 3))
        found = self.calibrate(data, "--samples=5")
        self.assertEqual((found["samples"], found["batches"]), (5, 5))
        fixed = self.save(network(4), "fixed.onnx")
        found = self.calibrate(data, path=fixed)
        self.assertEqual((found["samples"], found["batches"]), (8, 2))

    def test_methods(self):
        data = self.save_npz(x=self.images(8))
        minmax = self.calibrate(data)["tensors"]["conv"]
        for method in ("percentile", "entropy", "mse", "moving-average"):
            with self.subTest(method):
                tensor = self.calibrate(data, f"--method={method}")["tensors"]["conv"]
                self.assertEqual((tensor["min"], tensor["max"]), (minmax["min"], minmax["max"]))
                low, high = tensor["range"]
                self.assertLessEqual(minmax["min"], low)
                self.assertLess(low, high)
                self.assertLessEqual(high, minmax["max"])
        narrow = self.calibrate(data, "--method=percentile", "--percentile=90")
        low, high = narrow["tensors"]["conv"]["range"]
        self.assertLess(high - low, minmax["max"] - minmax["min"])

    def test_unseen_branches_and_integers(self):
        proto = model(
            [
                helper.make_node("Shape", ["x"], ["n"], name="shape"),
                helper.make_node("Cast", ["n"], ["h"], name="cast", to=TensorProto.FLOAT16),
                helper.make_node("Cast", ["h"], ["f"], name="back", to=TensorProto.FLOAT),
                helper.make_node("Transpose", ["x"], ["t"], name="turn"),
                helper.make_node("Slice", ["t", "zero", "one"], ["y"], name="cut"),
            ],
            [value("x", "a", "b")],
            [value("y", "c", "d"), value("f", 2), value("n", 2, kind=TensorProto.INT64)],
            [
                numpy_helper.from_array(np.array([0]), "zero"),
                numpy_helper.from_array(np.array([1]), "one"),
            ],
        )
        path = self.save(proto, "shapes.onnx")
        x = self.random.standard_normal((5, 3)).astype(np.float32)
        found = self.calibrate(self.save_npz(x=x), "--batch=0", path=path)["tensors"]
        self.assertNotIn("shape", found)
        self.assertEqual(found["cast"]["max"], 5)
        self.assertEqual(found["turn"]["count"], 15)
        self.assertAlmostEqual(found["cut"]["max"], float(x[:, 0].max()), places=6)

    def test_merge_does_not_depend_on_order(self):
        x = self.images(9)
        parts = []
        for i, rows in enumerate((x[:2], x[2:5], x[5:])):
            self.calibrate(self.save_npz(x=rows), "--hessian", name=f"{i}.yaml")
            parts.append(self.folder / f"{i}.yaml")
        whole = self.calibrate(self.save_npz(x=x), "--hessian", name="whole.yaml")
        written = []
        for order in ([0, 1, 2], [2, 0, 1]):
            files = [parts[i] for i in order]
            out = self.folder / "merged.yaml"
            run = self.run_tool("--merge", *files, "-o", out)
            self.assertEqual(run.returncode, 0, run.stderr)
            hessians = self.folder / "merged.yaml.hessians.safetensors"
            written.append((out.read_bytes(), hessians.read_bytes()))
        self.assertEqual(written[0], written[1])
        merged = parse(out)
        self.assertEqual(merged["samples"], 9)
        self.assertEqual(merged["tensors"], whole["tensors"])
        for name, layer in whole["layers"].items():
            for key in KEYS:
                np.testing.assert_allclose(merged["layers"][name][key], layer[key], rtol=1e-5)
        ours, theirs = read_hessians(hessians), read_hessians(
            self.folder / "whole.yaml.hessians.safetensors"
        )
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-3)

    def test_resume_after_a_kill(self):
        data = self.save_npz(x=self.images(20000))
        options = ["--hessian", "--method=entropy", "--checkpoint-seconds=0.05"]
        whole = self.folder / "whole.yaml"
        self.calibrate(data, *options, name=whole.name)
        out = self.folder / "killed.yaml"
        checkpoint = self.folder / "killed.yaml.checkpoint"
        command = [s.tool("nibble-calibrate"), self.path, f"--data={data}", "-o", out, *options]
        kills = 0
        for attempt in range(3):
            process = subprocess.Popen(
                command + (["--resume"] if attempt else []), stderr=subprocess.PIPE
            )
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            limit = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < limit:
                now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
                if now != before:
                    break
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += process.returncode == -signal.SIGKILL
            self.assertFalse(out.exists(), "half a result was written")
        self.assertEqual(kills, 3)
        self.assertTrue(checkpoint.exists())
        run = self.run_tool(*command[1:], "--resume")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertFalse(checkpoint.exists())
        name = "hessians.safetensors"
        text = whole.read_text().replace(f"whole.yaml.{name}", f"killed.yaml.{name}")
        self.assertEqual(out.read_text(), text)
        self.assertEqual(
            (self.folder / f"killed.yaml.{name}").read_bytes(),
            (self.folder / f"whole.yaml.{name}").read_bytes(),
        )

    def test_memory_does_not_grow_with_samples(self):
        # Samples that would be seen if they were kept: 27 KB each.
        x = np.tile(self.random.random((1000, 3, 6, 6), np.float32), (1, 1, 8, 8))
        proto = network()
        for dim in proto.graph.input[0].type.tensor_type.shape.dim[2:]:
            dim.dim_value = 48
        path = self.save(proto, "large.onnx")

        def save_fortran(file, x):
            np.save(file, np.asfortranarray(x))

        peaks, texts = [], []
        for count, name, save in (
            (100, "large.npz", np.savez),
            (1000, "large.npz", np.savez),
            (1000, "large.npz", np.savez_compressed),
            (1000, "x.npy", save_fortran),
        ):
            data, out = self.folder / name, self.folder / "large.yaml"
            save(data, x=x[:count])
            usage = s.usage_of_tool(
                "nibble-calibrate", path, f"--data={data}", "-o", out,
                "--method=percentile", "--hessian",
            )  # fmt: skip
            peaks.append(usage.ru_maxrss)
            texts.append(out.read_text())
        for peak in peaks[1:]:
            self.assertLess(peak, 1.1 * peaks[0])
        self.assertEqual(texts[1:], 3 * texts[1:2])

    def test_spilled_hessians_are_the_same(self):
        data = self.save_npz(x=self.images(5))
        self.calibrate(data, "--hessian", name="a.yaml")
        self.calibrate(data, "--hessian", "--memory-limit=1", "--threads=1", name="b.yaml")
        a, b = (self.folder / f"{n}.yaml.hessians.safetensors" for n in "ab")
        self.assertEqual(a.read_bytes(), b.read_bytes())


class LanguageModels(Tool):
    """Token files are cut into windows; other inputs follow from them."""

    def setUp(self):
        super().setUp()
        self.path = s.MODELS / "stories.onnx"
        self.tokens = self.random.integers(3, 380, 200)

    def test_token_files_are_equal(self):
        np.save(self.folder / "t.npy", self.tokens.astype(np.int32))
        self.tokens.astype(np.uint16).tofile(self.folder / "t.bin")
        found = self.calibrate(self.folder / "t.npy", "--window=32", "--hessian")
        self.assertEqual(found["samples"], 6)
        self.assertTrue(found["layers"])
        for layer in found["layers"].values():
            # The head sees the last position only.
            self.assertIn(layer["rows"], (6, 6 * 32))
        raw = self.calibrate(self.folder / "t.bin", "--window=32", "--hessian")
        self.assertEqual(raw, found)
        wide = self.calibrate(self.folder / "t.bin", "--window=32", "--batch=3", "--layers-only")
        self.assertEqual(wide["batches"], 2)
        self.assertEqual(wide["tensors"], {})

    def test_windows_and_types_are_those_of_each_input(self):
        nodes = [
            helper.make_node("Cast", [i], [f"{i}f"], name=i + i, to=TensorProto.FLOAT) for i in "ab"
        ]
        kinds = {"a": TensorProto.INT64, "b": TensorProto.INT32}
        proto = model(
            nodes,
            [value(i, "n", size, kind=kinds[i]) for i, size in (("a", 8), ("b", 4))],
            [value("af", "n", 8), value("bf", "n", 4)],
        )
        path = self.save(proto, "two.onnx")
        a, b = np.arange(24), 100 + np.arange(12)
        tensors = self.calibrate(self.save_npz(a=a, b=b), path=path)["tensors"]
        for name, array in (("aa", a), ("bb", b)):
            tensor = tensors[name]
            self.assertEqual(
                [tensor[key] for key in ("count", "batches", "min", "max")],
                [array.size, 3, array.min(), array.max()],
            )
        for token, size in ((2**31, np.int64), (-1, np.int64), (2**63 + 5, np.uint64)):
            bad = b.astype(size)
            bad[9] = token
            run = self.run_tool(
                path, f"--data={self.save_npz(a=a, b=bad)}", "-o", self.out / "x.yaml"
            )
            wanted = f":b' has the token {token} at position 9, but input 'b' takes 0 to 2147483647"
            self.check(run, 1, wanted)

    def test_text_from_python(self):
        text = self.folder / "text.txt"
        text.write_text("Tom has three red balls. He gives one to Mia. " * 20)
        out = self.folder / "python.yaml"
        command = [sys.executable, "-m", "nibble", "calibrate", self.path, f"--data={text}"]
        command += ["-o", out, f"--tokenizer={s.MODELS / 'stories_tokenizer.bin'}"]
        command += ["--samples=3", "--window=24", "--option=--batch=2"]
        run = subprocess.run(
            command, text=True, capture_output=True, env={**s.os.environ, "PYTHONPATH": str(
                Path(nibble.__file__).parent.parent)},
        )  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(parse(out)["samples"], 3)

    def test_too_few_tokens(self):
        np.save(self.folder / "t.npy", self.tokens)
        run = self.run_tool(
            self.path, f"--data={self.folder / 't.npy'}", "-o", self.out / "x.yaml"
        )
        self.check(run, 1, "t.npy' has 200 tokens, fewer than a window of 512", "--window")


class Refusals(Tool):
    """One message that names the file or the layer; nothing is written."""

    def refuse(self, data, *wanted: str, options=(), path=None, status=1):
        run = self.run_tool(
            path or self.path, f"--data={data}", "-o", self.out / "stats.yaml", *options
        )
        self.check(run, status, *wanted)

    def test_shapes_types_and_names(self):
        x = self.images(4)
        self.refuse(
            self.save_npz(x=x[:, :2]), "data.npz:x' is float32[4, 2, 6, 6]",
            "input 'x' takes float32[?, 3, 6, 6]",
        )  # fmt: skip
        self.refuse(self.save_npz(x=x.astype(np.float64)), "float64", "convert it to float32")
        self.refuse(
            self.save_npz(a=x, b=x), "no array for input 'x'", "it has 'a', 'b'"
        )
        self.refuse(self.save_npz(x=x[:0]), "is empty: it is float32[0, 3, 6, 6]")

    def test_data_without_elements(self):
        nodes = [helper.make_node("Relu", ["x"], ["y"], name="relu")]
        path = self.save(model(nodes, [value("x", "n", "m")], [value("y", "n", "m")]), "r.onnx")
        data = self.save_npz(x=np.zeros((3, 0), np.float32))
        self.refuse(data, "is empty: it is float32[3, 0]", path=path)
        data = self.folder / "x.npy"
        empty = f"is empty: it is float32[{2**60}, 0]"
        for rows, wanted in ((2**60, empty), (2**62, "impossible")):
            header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 0)}\n" % rows
            data.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header)
            self.refuse(data, wanted, path=path)

    def test_nothing_was_seen(self):
        data = self.save_npz(x=np.ones((3, 2), np.float32))
        nodes = [helper.make_node("Relu", ["x"], ["y"], name="relu")]
        path = self.save(model(nodes, [value("x", "n", 2)], [value("y", "n", 2)]), "r.onnx")
        self.refuse(data, "has nothing to look at", options=["--layers-only"], path=path)
        # A layer that every sample leaves without rows.
        weight = numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
        ends = [numpy_helper.from_array(np.array([0]), "none")]
        nodes = [
            helper.make_node("Slice", ["x", "none", "none"], ["e"], name="cut"),
            helper.make_node("MatMul", ["e", "w"], ["y"], name="fc"),
        ]
        proto = model(nodes, [value("x", "n", 2)], [value("y", "k", 2)], [weight, *ends])
        path = self.save(proto, "none.onnx")
        self.refuse(data, "no value was seen", "1 layers", options=["--layers-only"], path=path)

    def test_numbers_that_are_none(self):
        x = self.images(4)
        x[2, 1, 0, 3] = np.nan
        self.refuse(self.save_npz(x=x), "data.npz:x' has NaN at element", str(2 * 108 + 36 + 3))
        x = self.images(4)
        x[1, 0, 0, 0] = np.inf
        self.refuse(self.save_npz(x=x), "has infinity at element 108")

    def test_an_activation_that_is_not_finite(self):
        proto = model(
            [helper.make_node("Log", ["x"], ["l"], name="log"),
             helper.make_node("Relu", ["l"], ["y"], name="relu")],
            [value("x", "n", 2)], [value("y", "n", 2)],
        )  # fmt: skip
        path = self.save(proto, "log.onnx")
        data = self.save_npz(x=np.float32([[1, 2], [3, 0]]))
        self.refuse(data, "sample 1", "tensor 'log' has infinity at element 1", path=path)

    def test_files_that_are_none(self):
        self.refuse(self.folder / "no.npz", "there is no '", "no.npz'")
        (self.folder / "bad.npz").write_bytes(b"PK\3\4 not a zip file at all")
        self.refuse(self.folder / "bad.npz", "bad.npz' is not an .npz file")
        (self.folder / "empty").mkdir()
        self.refuse(self.folder / "empty", "has no .npz, .npy, .pb or .bin files")
        (self.folder / "a.txt").write_text("a text")
        self.refuse(self.folder / "a.txt", "python -m nibble calibrate")
        data = bytearray(self.save_npz(x=self.images(2)).read_bytes())
        data[400] ^= 1
        (self.folder / "damaged.npz").write_bytes(data)
        self.refuse(self.folder / "damaged.npz", "damaged.npz:x' is damaged")

    def test_outputs_that_cannot_be_written(self):
        # It is found before the data is looked for.
        folder = self.folder / "folder"
        (folder / "s.yaml.hessians.safetensors").mkdir(parents=True)
        stats = self.folder / "stats.yaml"
        self.calibrate(self.save_npz(x=self.images(2)))
        for out, options in (
            (folder, []),
            (self.folder / "none" / "s.yaml", []),
            (folder / "s.yaml", ["--hessian"]),
        ):
            with self.subTest(out):
                run = self.run_tool(self.path, "--data=none.npz", "-o", out, *options)
                self.check(run, 1, f"can't write '{out}")
        run = self.run_tool("--merge", stats, stats, "-o", folder)
        self.check(run, 1, f"can't write '{folder}'")

    def test_results_are_written_together(self):
        # 3 KB of Hessians, which would fit, and a text that does not.
        options = ["--hessian", "--method=entropy"]
        data, out = self.save_npz(x=self.images(9)), self.out / "s.yaml"
        self.calibrate(data, *options)
        stats = self.folder / "stats.yaml"
        self.assertGreater(stats.stat().st_size, 40000)
        self.mount_small_disk(self.out, "32k")
        for command in ([self.path, f"--data={data}", *options], ["--merge", stats, stats]):
            run = self.run_tool(*command, "-o", out)
            self.check(run, 1, f"can't write '{out}'", "No space left")

    def test_options(self):
        data = self.save_npz(x=self.images(2))
        for options, wanted in (
            (["--method=best"], "best"),
            (["--percentile=50"], "is a knob of --method=percentile, not of minmax"),
            (["--method=percentile", "--percentile=101"], "at most 100"),
            (["--norm=2.4"], "is a knob of --method=mse, not of minmax"),
            (["--method=mse", "--norm=0.5"], "the norm is not from 1 to 8"),
            (["--memory-limit=2XB"], "--memory-limit"),
            (["--merge", "a.yaml"], "--merge and --data exclude each other"),
        ):
            with self.subTest(options):
                run = self.run_tool(
                    self.path, f"--data={data}", "-o", self.out / "s.yaml", *options
                )
                self.assertEqual(run.returncode, 2, run.stderr)
                self.assertIn(wanted, run.stderr)
        run = self.run_tool(self.path, "-o", self.out / "s.yaml")
        self.check(run, 2, "no calibration data: give some with --data=PATH")

    def test_few_samples_are_a_warning(self):
        data = self.save_npz(x=self.images(3))
        run = self.run_tool(self.path, f"--data={data}", "-o", self.folder / "s.yaml")
        self.assertEqual(run.returncode, 0)
        self.assertIn("warning: only 3 samples", run.stderr)
        self.assertIn("100 or more are advised", run.stderr)

    def interrupt(self, data: Path, out: Path):
        """Ends a run by force when it has left a checkpoint."""
        command = [s.tool("nibble-calibrate"), self.path, f"--data={data}", "-o", out]
        command += ["--checkpoint-seconds=0.01"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        checkpoint = Path(f"{out}.checkpoint")
        while process.poll() is None and not checkpoint.exists():
            time.sleep(0.005)
        process.kill()
        process.communicate()
        self.assertTrue(checkpoint.exists())

    def test_checkpoint_of_other_data(self):
        x = self.images(4000)
        out = self.out / "s.yaml"
        self.interrupt(self.save_npz(x=x), out)
        # The same name, shape and type; the same data with another cut.
        changed = x.copy()
        changed[0, 0, 0, 0] += 1
        for data, options in ((changed, []), (x, ["--batch=2"])):
            other = self.save_npz(x=data)
            run = self.run_tool(self.path, f"--data={other}", "-o", out, "--resume", *options)
            self.assertEqual(run.returncode, 1)
            self.assertIn("is the checkpoint of another run", run.stderr)
            self.assertFalse(out.exists())

    def test_checkpoint_of_the_same_data_elsewhere(self):
        x = self.images(4000)
        data = self.save_npz(x=x)
        whole = self.calibrate(data, name="whole.yaml")
        out = self.out / "s.yaml"
        self.interrupt(data, out)
        # As Python saves it: in a folder that is a new one for each run.
        (self.folder / "moved").mkdir()
        moved = data.rename(self.folder / "moved" / "other.npz")
        run = self.run_tool(self.path, f"--data={moved}", "-o", out, "--resume")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(out.read_text(), (self.folder / "whole.yaml").read_text())
        self.assertEqual(parse(out), whole)

    def test_statistics_of_another_model(self):
        self.calibrate(self.save_npz(x=self.images(3)))
        stats = self.folder / "stats.yaml"
        proto = network()
        proto.graph.initializer[0].CopyFrom(
            numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w1")
        )
        other = self.save(proto, "other.onnx")
        options = ["--quantize=W8A16", f"--calibration={stats}"]
        self.check(
            self.compile(other, *options), 1, "stats.yaml", "of another model", "nibble-calibrate"
        )
        run = self.compile(self.path, *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        (self.out / "m.so").unlink()
        run = self.compile(self.path, "--quantize=W8A16", "--calibration=none.yaml")
        self.check(run, 1, "can't read 'none.yaml'")
        # Two models are not merged, and damaged files not read.
        self.calibrate(self.save_npz(x=self.images(3)), path=other, name="b.yaml")
        run = self.run_tool("--merge", stats, self.folder / "b.yaml", "-o", self.out / "m.yaml")
        self.check(run, 1, "they are of two models")
        stats.write_text(stats.read_text().replace("rows: ", "rows: x"))
        run = self.run_tool("--merge", stats, stats, "-o", self.out / "m.yaml")
        self.check(run, 1, "stats.yaml:", "'rows' is 'x")

    def test_fixed_dimensions_keep_the_model_what_it_is(self):
        stats = self.folder / "stats.yaml"
        self.calibrate(self.save_npz(x=self.images(4)), "--dim", "batch=2")
        run = self.compile(self.path, "--quantize=W8A16", f"--calibration={stats}")
        self.assertEqual(run.returncode, 0, run.stderr)


if __name__ == "__main__":
    unittest.main()
