"""Translate the kernels of a model for the host, to be run by the fake driver.

    host-kernels.py MODEL.mlir OUT.so

MODEL.mlir is IR of phase vector, compiled with --target=cuda. The kernels are
lowered as for a GPU, to LLVM IR; what the instructions of a GPU do there is then
done by functions of Emulator.c. Needs nibble-opt, mlir-translate and clang.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Names of LLVM's intrinsics, and the functions in their place.
RENAMED = {
    r"llvm\.nvvm\.read\.ptx\.sreg\.(tid|ntid|ctaid|nctaid)\.([xyz])": r"emu_\1_\2",
    r"llvm\.nvvm\.read\.ptx\.sreg\.laneid": "emu_laneid",
    r"llvm\.nvvm\.(ex2|lg2|rcp|rsqrt|sqrt)\.approx(\.ftz)?\.f(32)?": r"emu_\1",
    r"llvm\.nvvm\.barrier\.cta\.sync\.aligned\.all": "emu.barrier",
    r"llvm\.nvvm\.barrier0": "emu_barrier",
    r"llvm\.nvvm\.bar\.warp\.sync": "emu.warp.barrier",
    r"llvm\.nvvm\.shfl\.sync\.(bfly|idx|down|up)\.([if]32p?)": r"emu.shfl.\1.\2",
    r"llvm\.nvvm\.cp\.async\.c[ag]\.shared\.global\.(4|8|16)": r"emu.cp.async.\1",
    r"llvm\.nvvm\.cp\.async\.(commit|wait)\.(group|all)": r"emu.cp.async.\1.\2",
}
PRELUDE = """
declare void @emu_barrier()
declare void @emu_warp_barrier()
declare void @emu_copy_async(ptr, ptr, i32)
declare float @emu_ex2(float)
declare float @emu_lg2(float)
declare float @emu_rcp(float)
declare float @emu_rsqrt(float)
declare float @emu_sqrt(float)
define internal void @emu.barrier(i32 %id) { call void @emu_barrier() ret void }
define internal void @emu.warp.barrier(i32 %mask) { call void @emu_warp_barrier() ret void }
define internal void @emu.cp.async.commit.group() { ret void }
define internal void @emu.cp.async.wait.group(i32 %n) { ret void }
define internal void @emu.cp.async.wait.all() { ret void }
"""


def define_helpers() -> str:
    """Functions with the types of the intrinsics, for those of Emulator.c."""
    text = PRELUDE
    for size in (4, 8, 16):
        text += (f"define internal void @emu.cp.async.{size}(ptr %to, ptr %from) "
                 f"{{ call void @emu_copy_async(ptr %to, ptr %from, i32 {size}) ret void }}\n")
    for mode in ("bfly", "idx", "down", "up"):
        text += f"declare i32 @emu_shuffle_{mode}(i32, i32)\n"
        for kind, name in (("i32", "i32"), ("float", "f32")):
            body = f"%i = bitcast {kind} %v to i32\n" \
                   f"%r = call i32 @emu_shuffle_{mode}(i32 %i, i32 %at)\n" \
                   f"%o = bitcast i32 %r to {kind}\n"
            arguments = f"(i32 %mask, {kind} %v, i32 %at, i32 %clamp)"
            text += f"define internal {kind} @emu.shfl.{mode}.{name}{arguments} {{\n" \
                    f"{body}ret {kind} %o\n}}\n"
            text += f"define internal {{ {kind}, i1 }} @emu.shfl.{mode}.{name}p{arguments} {{\n" \
                    f"{body}%a = insertvalue {{ {kind}, i1 }} undef, {kind} %o, 0\n" \
                    f"%b = insertvalue {{ {kind}, i1 }} %a, i1 true, 1\n" \
                    f"ret {{ {kind}, i1 }} %b\n}}\n"
    return text


def extract_kernels(text: str) -> str:
    """The module of kernels of a lowered model as a module of its own."""
    begin = text.index("{", text.index("gpu.module @nibble_kernels"))
    depth, end = 0, begin
    for end in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            break
    return "module " + text[begin:end + 1]


def translate(ir: str) -> str:
    """LLVM IR for a GPU as LLVM IR for the host."""
    ir = re.sub(r"^declare .*@llvm\.nvvm\..*\n", "", ir, flags=re.M)
    for intrinsic, function in RENAMED.items():
        ir = re.sub("@" + intrinsic + r"\b", "@" + function, ir)
    left = sorted(set(re.findall(r"@llvm\.nvvm\.[\w.]+", ir)))
    if left:
        raise SystemExit("host-kernels.py: no function for " + ", ".join(left))
    # Shared memory is there once, since blocks run one after the other.
    ir = re.sub(r"= external addrspace\(3\) global \[0 x i8\]",
                "= internal global [262144 x i8] zeroinitializer", ir)
    ir = re.sub(r" addrspace\(\d+\)", "", ir).replace("addrspacecast", "bitcast")
    ir = re.sub(r"^target .*\n", "", ir, flags=re.M)
    wrappers = "".join(f"declare i32 @emu_{name}_{axis}()\n" for axis in "xyz"
                       for name in ("tid", "ntid", "ctaid", "nctaid"))
    wrappers += "declare i32 @emu_laneid()\n"
    for match in re.finditer(r"^define ptx_kernel void @([\w.$]+)\((.*?)\) .*?^}", ir,
                             flags=re.M | re.S):
        name, parameters = match[1], match[2]
        types = [p.split()[0] for p in parameters.split(",") if p.strip()]
        waits = int("@emu.shfl" in match[0] or "barrier" in match[0])
        code = ""
        for i, kind in enumerate(types):
            code += f"  %s{i} = getelementptr ptr, ptr %p, i64 {i}\n" \
                    f"  %q{i} = load ptr, ptr %s{i}\n  %v{i} = load {kind}, ptr %q{i}\n"
        passed = ", ".join(f"{kind} %v{i}" for i, kind in enumerate(types))
        wrappers += f"@emu_waits_{name} = constant i32 {waits}\n" \
                    f"define void @emu_run_{name}(ptr %p) {{\n{code}" \
                    f"  call void @{name}({passed})\n  ret void\n}}\n"
    return ir.replace("define ptx_kernel", "define") + define_helpers() + wrappers


def main() -> None:
    model, output = sys.argv[1:]
    lowered = subprocess.run(
        ["nibble-opt", model, "--nibble-lower-to-nvvm"], check=True,
        capture_output=True, text=True).stdout
    ir = subprocess.run(["mlir-translate", "--mlir-to-llvmir"], check=True,
                        input=extract_kernels(lowered), capture_output=True,
                        text=True).stdout
    compiler = shutil.which("clang-22") or "clang"
    emulator = pathlib.Path(__file__).with_name("Emulator.c")
    with tempfile.NamedTemporaryFile("w", suffix=".ll") as file:
        file.write(translate(ir))
        file.flush()
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-w", "-Wl,-z,defs", file.name,
                        str(emulator), "-lm", "-o", output], check=True)


if __name__ == "__main__":
    main()
