"""lit configuration: what a test may name, and which features there are."""

import os
import subprocess

import lit.formats

config.name = "Nibble"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "e2e", "unit", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.nibble_obj_root, "test")

config.environment["PATH"] = os.pathsep.join(
    [config.nibble_tools_dir, config.llvm_tools_dir, os.environ["PATH"]])
# A variable of one test must not match in another function's CHECK lines.
config.environment["FILECHECK_OPTS"] = "-enable-var-scope"
for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "HOME"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]

shared = os.environ.get("NIBBLE_SHARED") or os.path.join(
    config.nibble_src_root, "..", "shared")
if os.path.isdir(os.path.join(shared, "models")):
    config.available_features.add("shared-models")
    config.substitutions.append(("%shared", os.path.realpath(shared)))

config.substitutions.append(("%python", config.python))
has_onnx = subprocess.run(
    [config.python, "-c", "import onnx, numpy"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
if has_onnx:
    config.available_features.add("python-onnx")
if config.sanitize:
    config.available_features.add("sanitizers")
    # LLVM's headers poison memory that its libraries, which are not instrumented,
    # then use; the same goes for the ends of containers.
    config.environment.setdefault(
        "ASAN_OPTIONS", "allow_user_poisoning=0:detect_container_overflow=0")
if os.geteuid() != 0:
    config.available_features.add("not-root")

# What makes code for GPUs; without it the tests of that are unsupported.
for variable in ("CUDA_HOME", "CUDA_PATH"):
    config.environment.pop(variable, None)
if config.ptxas and os.access(config.ptxas, os.X_OK):
    config.available_features.add("ptxas")
else:
    lit_config.note("no ptxas was found by CMake: tests of --target=cuda that "
                    "need it (REQUIRES: ptxas) are skipped")
config.substitutions.append(("%fakecuda", os.path.join(
    config.nibble_obj_root, "test", "FakeCuda", "lib")))

config.substitutions.append(("%src", config.nibble_src_root))
config.substitutions.append(("%obj", config.nibble_obj_root))
config.substitutions.append(
    ("%llvm_libdir", os.path.join(os.path.dirname(config.llvm_tools_dir), "lib")))
config.substitutions.append(("%libdir", os.path.join(config.nibble_obj_root, "lib")))
