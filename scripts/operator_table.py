#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes docs/operators.md: every operator of ONNX, and what becomes of it.

    operator_table.py --data DIR [--check]

Only LIMITS below is written by hand. Operators and their versions are those of the
Python package onnx; what is imported, with which element types, are the definitions of
the dialect (llvm-tblgen); what compiles are ONNX's operator tests in DIR, as for
test/conformance/run_node_tests.py, less its lists of expected failures; which operators
are lowered without a test there are the tables of lib/Conversion. With --check the file
is not written; the status is 1 if it is not what would be written.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test/conformance"))
import run_node_tests as conformance  # noqa: E402

TARGET = ROOT / "docs/operators.md"
NAMES = {"": "ONNX", "ai.onnx.ml": "ai.onnx.ml", "ai.onnx.preview": "ai.onnx.preview",
         "ai.onnx.preview.training": "ai.onnx.preview.training",
         "com.microsoft": "com.microsoft"}  # fmt: skip
OLDEST = 7

# What holds for one operator beside its types and failing tests, by its name with or
# without its domain.
LIMITS = {
    "Bernoulli": "own generator (Squares): other numbers than NumPy's",
    "DFT": "a product with a matrix; the axis is constant",
    "Dropout": "training uses a generator of our own: other numbers than NumPy's",
    "GatherND": "the last size of the indices is known when compiling",
    "ImageDecoder": "read only: files are decoded before the model",
    "LSTM": "ONNX Runtime's reading of `clip`: the cell state is not clipped",
    "LinearRegressor": "no `post_transform`",
    "Multinomial": "own generator (Squares)",
    "RandomNormal": "own generator (Squares)",
    "RandomNormalLike": "own generator (Squares)",
    "RandomUniform": "own generator (Squares)",
    "RandomUniformLike": "own generator (Squares)",
    "ScatterND": "the last size of the indices is known when compiling",
    "Squeeze": "axes are constant",
    "TfIdfVectorizer": "pools of integers",
    "TreeEnsemble": "read only",
    "Unsqueeze": "axes are constant",
    "microsoft.Attention": "no rotation, no buffer shared by past and present",
    "microsoft.GatherBlockQuantized": "codes are integers; an index out of range is an error",
    "microsoft.GroupQueryAttention": "caches of floats that keep all positions; no `output_qk`",
    "microsoft.MatMulBnb4": "the weight is constant; `transB` is 1",
    "microsoft.MultiHeadAttention": "no beams, no buffer shared by past and present, no `qk`",
    "microsoft.RotaryEmbedding": "no `scale`",
}

HEADER = """\
# Operators

Written by `scripts/operator_table.py`: do not edit.

- **versions**: operator sets of the standard that define the operator, from {oldest} on. All are
  read: older definitions are rewritten to the newest by `onnx-normalize-opset`.
- **types**: of the operands, as the dialect's definition allows them; `float` is f16, bf16, f32 and
  f64, `number` these and the integers of 8 to 64 bits, `any` every type of ONNX.
- **tests**: how many of ONNX's own operator tests compile and give the expected results, as
  `test/conformance` runs them; "-" where ONNX has no test.
- **limits**: what holds for the operator, and why the other tests do not pass: `unsupported`: the
  compiler says so; `error`: another message; `run`, `value`: at run time.

An operator that is *imported* can be read, inferred, and written again; one that is *compiled*
becomes code. Limits that hold for all operators:

- Ranks must be known when a model is compiled; sizes need not be.
- Axes, permutations, pads of operators that need them to choose code, and numbers of outputs must be
  constants; shapes, indices and bounds may be computed.
- Strings, complex numbers and maps are imported, not compiled.
- Integers of fewer and floats of at most 8 bits are moved and converted, not computed with
  ([how they look to a caller](compile-a-model.md#from-a-program)).
- Tensors of one sequence have one rank. A sequence NAME of the model's interface is two tensors, NAME
  with all elements and NAME.shapes with a row of sizes for each; an optional sequence has
  NAME.present, too. In Python they are lists of arrays.

{summary}
"""


def read_definitions() -> dict[str, dict]:
    """Records of the operations by ONNX name (domain.Type but for the default domain)."""
    cache = Path(os.environ.get("NIBBLE_BUILD", ROOT / "build")) / "CMakeCache.txt"
    if not cache.exists():
        sys.exit(f"{cache} is not there: configure a build, which knows where LLVM is")
    prefix = re.search(r"^LLVM_DIR:\w+=(.*)/lib/cmake/llvm$", cache.read_text(), re.M)[1]
    include = ["-I", str(ROOT / "include"), "-I", f"{prefix}/include"]
    source = ROOT / "include/nibble/Dialect/ONNX/IR/ONNXOps.td"
    text = subprocess.run(
        [f"{prefix}/bin/llvm-tblgen", "--dump-json", *include, str(source)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    records = json.loads(text)
    return {
        records[name]["opName"]: records | {"": records[name]}
        for name in records["!instanceof"]["ONNX_OpBase"]
    }


def element_types(definition: dict) -> str:
    """Short names of what the operands may be, in the order in which they first appear."""
    records, names = definition, []
    short = {
        "ONNX_Any": "any", "ONNX_Value": "any", "ONNX_Float": "float", "ONNX_Num": "number",
        "ONNX_Int": "integer", "ONNX_Index": "i32 i64", "ONNX_Quant": "codes, float",
        "ONNX_Byte": "i8 u8", "ONNX_Bool": "bool", "ONNX_Seq": "sequence",
        "ONNX_StringTensor": "string",
    }  # fmt: skip

    def visit(name: str):
        if name in short:
            text = short[name]
        elif re.fullmatch(r"ONNX_[IFU]\d+", name):
            text = name[5:].lower()
        else:
            record = records.get(name, {})
            inner = record.get("baseType") or None
            parts = [inner] if inner else record.get("allowedTypes", [])
            for part in parts:
                visit(part["def"])
            return
        if text not in names:
            names.append(text)

    for argument, _ in definition[""]["arguments"]["args"]:
        name = argument["def"]
        if "Attr" not in name and "TypeConstraint" in records[name].get("!superclasses", []):
            visit(name)
    # i32 and i64 are indices and sizes where there is a wider class as well.
    if len(names) > 1:
        names = [n for n in names if n not in ("i64", "i32", "i32 i64")] or names
    return ", ".join(names)


def count_tests(data: Path) -> dict[str, collections.Counter]:
    """Outcomes of the tests by operator: of the only operator of each test's model."""
    import onnx

    failing = conformance.read_list(conformance.LISTS[False])
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder:
        for test in conformance.find_tests(data, Path(folder)):
            if "_expanded" in test.name:
                continue
            nodes = onnx.load(test / "model.onnx", load_external_data=False).graph.node
            types = {(n.domain, n.op_type) for n in nodes if n.op_type != "Constant"}
            named = [t for t in types if t[1].lower() in test.name.replace("_", "")]
            for domain, kind in named if len(types) > 1 else types:
                counts[join(domain, kind)][failing.get(test.name, "pass")] += 1
    return counts


def join(domain: str, name: str) -> str:
    if domain in ("", "ai.onnx"):
        return name
    return f"{domain.removeprefix('com.')}.{name}"


def lowered() -> set[str]:
    """Operators that a table or a pattern of the conversions and decompositions names."""
    found = set()
    for folder in ("lib/Conversion", "lib/Dialect/ONNX/Transforms"):
        for file in (ROOT / folder).rglob("*.cpp"):
            text = file.read_text()
            found |= set(re.findall(r'"onnx\.([\w.]+)"', text))
            classes = re.findall(r"\b(?:onnx::)?(\w+)Op\b", text)
            found |= {name.replace("Microsoft", "microsoft.", 1) for name in classes}
    return found


def rows(data: Path):
    import onnx.defs

    definitions, tests, known = read_definitions(), count_tests(data), lowered()
    history = collections.defaultdict(list)
    for schema in onnx.defs.get_all_schemas_with_history():
        if not (schema.deprecated and schema.since_version < OLDEST):
            history[schema.domain, schema.name].append(schema)
    names = set(history) | {
        ("com.microsoft", name.removeprefix("microsoft."))
        for name in definitions
        if name.startswith("microsoft.")
    }
    order = list(NAMES)
    for domain, name in sorted(names, key=lambda key: (order.index(key[0]), key[1])):
        schemas = sorted(history[domain, name], key=lambda s: s.since_version)
        versions = [s.since_version for s in schemas if not s.deprecated]
        if domain == "":
            recent = [v for v in versions if v > OLDEST]
            versions = [v for v in versions if v <= OLDEST][-1:] + recent
        if not versions and domain != "com.microsoft":
            continue
        full = join(domain, name)
        definition, counts = definitions.get(full), tests[full]
        passed, total = counts["pass"], sum(counts.values())
        failures = [f"{n} {reason}" for reason, n in sorted(counts.items()) if reason != "pass"]
        if definition is None:
            state = "no"
        elif passed or full in known:
            state = "compiled"
        else:
            state = "imported"
        yield {
            "domain": domain, "name": name, "state": state,
            "versions": " ".join(map(str, versions)) or "1",
            "types": element_types(definition) if definition else "",
            "tests": f"{passed} of {total}" if total else "-",
            "limits": "; ".join(
                [LIMITS[n] for n in dict.fromkeys([name, full]) if n in LIMITS] + failures
            ),
        }  # fmt: skip


def render(data: Path) -> str:
    table = list(rows(data))
    counted = collections.Counter(row["state"] for row in table)
    summary = (
        f"{len(table)} operators: {counted['compiled']} compiled, {counted['imported']} imported "
        f"only, {counted['no']} not read."
    )
    text = HEADER.format(oldest=OLDEST, summary=summary)
    for domain, title in NAMES.items():
        part = [row for row in table if row["domain"] == domain]
        if not part:
            continue
        text += f"\n## {title}\n\n| operator | versions | | types | tests | limits |\n"
        text += "|---|---|---|---|---|---|\n"
        for row in part:
            text += "| {name} | {versions} | {state} | {types} | {tests} | {limits} |\n".format(**row)
    return re.sub(r" +\|$", " |", text, flags=re.M)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of ONNX's tests")
    parser.add_argument("--check", action="store_true", help="only compare")
    args = parser.parse_args()
    text = render(args.data)
    if not args.check:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print(f"{TARGET} is not up to date: run scripts/operator_table.py --data {args.data}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
