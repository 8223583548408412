#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles ONNX's own operator tests and compares what the binaries compute.

    run_node_tests.py --data DIR --bin build/bin [--jobs 2] [--filter GLOB...]

DIR holds an archive onnx-test-data*.tar.xz or an unpacked `node` folder.
`expected-failures.txt` lists the tests that are known not to pass, by reason; the
run fails on a test that fails without being listed, and on one that passes
although it is. `--update` writes the list anew. With `--dynamic` every dimension
of the inputs is unknown to the compiler (list: `expected-failures-dynamic.txt`).

The tests feed everything as an input at run time, also what a trained model
stores as constants: axes, shapes, pads. Nibble compiles such operands when they
are constant, so they become initializers first (`SHAPE_OPERANDS`), and sequences
say of what rank their tensors are.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fnmatch
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

LISTS = {
    False: Path(__file__).with_name("expected-failures.txt"),
    True: Path(__file__).with_name("expected-failures-dynamic.txt"),
}
HEADER = """\
# Operator tests of ONNX that are known not to pass, by reason:
#   unsupported  the compiler says that it does not support the operator or type
#   error        the compiler reports another error
#   run          the binary reports an error
#   value        the results differ
# Written by run_node_tests.py --update.
"""

REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
# Operands that decide the shape of the result or select axes.
SHAPE_OPERANDS = {
    "CenterCropPad": [1], "ConstantOfShape": [0], "DFT": [1, 2], "Dropout": [1, 2],
    "Expand": [1], "OneHot": [1], "Pad": [1, 3], "Reshape": [1], "Resize": [1, 2, 3],
    "Slice": [1, 2, 3, 4], "Split": [1], "Squeeze": [1], "Tile": [1], "TopK": [1],
    "Trilu": [1], "Unsqueeze": [1], "Upsample": [1],
    **{"Reduce" + name: [1] for name in REDUCTIONS},
}  # fmt: skip


def fix_shape_operands(model, case: Path):
    """Makes initializers of inputs that are shapes or axes; returns the rest.

    The result is a list of (value, file) of the inputs that remain.
    """
    import onnx

    graph = model.graph
    wanted = {
        name
        for node in graph.node
        for position, name in enumerate(node.input)
        if name and position in SHAPE_OPERANDS.get(node.op_type, [])
    }
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    rest = []
    for index, value in enumerate(inputs):
        file = case / f"input_{index}.pb"
        if value.name in wanted:
            tensor = onnx.TensorProto()
            tensor.ParseFromString(file.read_bytes())
            tensor.name = value.name
            graph.initializer.append(tensor)
            graph.input.remove(value)
        else:
            rest.append((value, file))
    return rest


def split_sequences(values, scratch: Path):
    """Files of the tensors that stand for sequences and optionals.

    `values` are (ValueInfoProto, file). A sequence NAME is the elements of all its
    tensors, NAME, and a row of sizes for each, NAME.shapes; an optional tensor is a
    sequence of at most one, and NAME.present tells of an optional sequence.
    """
    import numpy as np
    import onnx
    from onnx import numpy_helper

    files = []
    for info, file in values:
        kind = info.type.WhichOneof("value")
        if kind == "tensor_type" or not file.exists():
            files.append((info.name, file))
            continue
        data, inner = file.read_bytes(), info.type.sequence_type.elem_type
        present = None
        if kind == "sequence_type":
            arrays = numpy_helper.to_list(onnx.SequenceProto.FromString(data))
        else:
            inner = info.type.optional_type.elem_type
            arrays = numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
            if inner.HasField("sequence_type"):
                present, inner = arrays is not None, inner.sequence_type.elem_type
            elif arrays is not None:
                arrays = [arrays]
        tensor, arrays = inner.tensor_type, arrays or []
        if len({array.ndim for array in arrays}) > 1:
            files.append((info.name, file))  # Not compiled.
            continue
        rank = arrays[0].ndim if arrays else len(tensor.shape.dim)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        parts = {
            "": np.concatenate([a.ravel() for a in arrays] or [np.empty(0)]).astype(dtype),
            ".shapes": np.array([a.shape for a in arrays], np.int64).reshape(len(arrays), rank),
        }
        if present is not None:
            parts[".present"] = np.array(present)
        for suffix, array in parts.items():
            part = scratch / f"{file.parent.parent.name}.{file.stem}{suffix}.npy"
            np.save(part, array)
            files.append((info.name + suffix, part))
    return files


def declare_ranks(values) -> None:
    """Says of what rank the tensors of sequences are, which is needed to compile them."""
    import onnx
    from onnx import numpy_helper

    for info, file in values:
        tensor = info.type.sequence_type.elem_type.tensor_type
        if info.type.HasField("sequence_type") and not tensor.HasField("shape"):
            arrays = numpy_helper.to_list(onnx.SequenceProto.FromString(file.read_bytes()))
            for _ in arrays[0].shape if arrays else []:
                tensor.shape.dim.add()


def forget_sizes(model) -> None:
    """Gives every dimension of an input a name of its own, and outputs none."""
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in stored:
            for index, dim in enumerate(value.type.tensor_type.shape.dim):
                dim.dim_param = f"{value.name}_{index}"
    for value in graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    del graph.value_info[:]


def tolerance(model) -> tuple[float, float]:
    """What results may differ by: the last bits of the narrowest float type."""
    import onnx

    types = {value.type.tensor_type.elem_type for value in model.graph.output}
    if onnx.TensorProto.BFLOAT16 in types:
        return 2e-2, 2e-2
    if onnx.TensorProto.FLOAT16 in types:
        return 5e-3, 5e-3
    return 1e-3, 1e-5


def run_case(test: Path, tools: Path, scratch: Path, dynamic: bool) -> tuple[str, str]:
    """(`pass` or a reason of the list, the first line of the message)."""
    import onnx

    model = onnx.load(test / "model.onnx")
    case = min(test.glob("test_data_set_*"))
    inputs = fix_shape_operands(model, case)
    if dynamic:
        forget_sizes(model)
    outputs = [
        (value, case / f"output_{index}.pb") for index, value in enumerate(model.graph.output)
    ]
    declare_ranks(inputs)
    inputs, outputs = split_sequences(inputs, scratch), split_sequences(outputs, scratch)
    source = scratch / (test.name + ".onnx")
    library = scratch / (test.name + ".so")
    source.write_bytes(model.SerializeToString())
    try:
        compiled = run([tools / "nibble-compile", source, "-o", library])
        if compiled.returncode:
            text = compiled.stderr
            unsupported = any(
                s in text for s in ("not support", "no lowering", "cannot take or give", "unknown op")
            )
            return "unsupported" if unsupported else "error", message(text)
        rtol, atol = tolerance(model)
        command = [tools / "nibble-run", library, "--rtol", rtol, "--atol", atol]
        for name, file in inputs:
            command += ["--input", f"{name}={file}"]
        for name, file in outputs:
            command += ["--expect", f"{name}={file}"]
        ran = run(command)
        if ran.returncode == 0:
            return "pass", ""
        text = ran.stderr + ran.stdout
        return ("value" if "differ" in text or "match" in text else "run"), message(text)
    except subprocess.TimeoutExpired as expired:
        return "error", f"{Path(expired.cmd[0]).name} did not end"
    finally:
        source.unlink(missing_ok=True)
        library.unlink(missing_ok=True)


def run(command) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, errors="replace", timeout=120
    )


def message(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[:2])[:300]


def find_tests(data: Path, scratch: Path) -> list[Path]:
    """The folders of the node tests, unpacked from the newest archive if need be."""
    archives = sorted(data.glob("onnx-test-data-*.tar.xz"), key=lambda p: ("main" in p.name, p.name))
    if archives:
        with tarfile.open(archives[-1]) as archive:
            members = [
                member
                for member in archive.getmembers()
                if "/node/" in member.name
                and (member.isfile() or member.isdir())
                and not member.name.startswith("/")
                and ".." not in Path(member.name).parts
            ]
            archive.extractall(scratch, members=members)
        data = scratch
    return sorted(
        path.parent for path in data.rglob("model.onnx") if path.parts[-3] == "node"
    )


def read_list(file: Path) -> dict[str, str]:
    expected = {}
    if file.exists():
        for line in file.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                reason, name = line.split()
                expected[name] = reason
    return expected


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the tests")
    parser.add_argument("--bin", type=Path, required=True, help="folder of the tools")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--filter", nargs="*", default=["*"], help="globs of test names")
    parser.add_argument("--sample", type=int, default=1, help="only every Nth test")
    parser.add_argument("--dynamic", action="store_true", help="sizes are not known")
    parser.add_argument("--update", action="store_true", help="write the list anew")
    parser.add_argument("--verbose", action="store_true", help="show every failure, listed or not")
    args = parser.parse_args()

    known = LISTS[args.dynamic]
    expected = read_list(known)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        tests = [
            test
            for test in find_tests(args.data, scratch)
            if any(fnmatch.fnmatch(test.name, glob) for glob in args.filter)
        ][:: args.sample]
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            tools = args.bin.resolve()
            results = list(
                pool.map(lambda test: run_case(test, tools, scratch, args.dynamic), tests)
            )

    passed = surprises = 0
    failed = dict(expected)
    for test, (outcome, text) in zip(tests, results):
        failed.pop(test.name, None)
        if outcome == "pass":
            passed += 1
        else:
            failed[test.name] = outcome
        if args.verbose and outcome != "pass":
            print(f"{test.name}: {outcome}: {text}")
        if args.update:
            continue
        if outcome == "pass" and test.name in expected:
            surprises += 1
            print(f"{test.name}: passes now; take it off {known.name}")
        elif outcome != "pass" and test.name not in expected:
            surprises += 1
            if not args.verbose:
                print(f"{test.name}: {outcome}: {text}")
    if args.update:
        lines = [f"{reason} {name}\n" for name, reason in sorted(failed.items())]
        known.write_text(HEADER + "".join(lines))
    print(f"{passed} of {len(tests)} operator tests of ONNX are computed right")
    print(f"{len(tests) - surprises} passed, {surprises} failed")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
