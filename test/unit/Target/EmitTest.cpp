//===- EmitTest.cpp - Tests of the files that are emitted -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestModels.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cstdio>
#include <set>

using namespace nibble;
using namespace nibble::test;
using nibble::target::ArtifactKind;
using nibble::target::WeightPlacement;
namespace fs = llvm::sys::fs;

namespace {
class EmitTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(fs::createUniqueDirectory("nibble-emit", directory));
  }
  void TearDown() override { fs::remove_directories(directory); }

  std::string path(llvm::StringRef name) {
    llvm::SmallString<128> result(directory);
    llvm::sys::path::append(result, name);
    return result.str().str();
  }

  bool emit(llvm::StringRef name, ArtifactKind kind,
            WeightPlacement weights = WeightPlacement::Auto) {
    target::EmitOptions options;
    options.output = path(name);
    options.kind = kind;
    options.weights = weights;
    options.producer = "EmitTest";
    return succeeded(builder.emit(scaleModel, options));
  }

  /// Names in the folder, to see that nothing temporary is left.
  std::set<std::string> files() {
    std::set<std::string> names;
    std::error_code ec;
    for (fs::directory_iterator it(directory, ec), end; it != end && !ec;
         it.increment(ec))
      names.insert(llvm::sys::path::filename(it->path()).str());
    return names;
  }

  /// Standard output and error of a command, and its exit status.
  std::pair<std::string, int> command(std::string line) {
    FILE *pipe = popen((line + " 2>&1").c_str(), "r");
    std::string text;
    char buffer[4096];
    while (size_t n = fread(buffer, 1, sizeof(buffer), pipe))
      text.append(buffer, n);
    int status = pclose(pipe);
    return {text, WEXITSTATUS(status)};
  }

  /// Runs the model with x = {1, 2, 3, 4, 5}, b = 10.
  void expectResult(CompiledModel &model) {
    std::vector<float> x = {1, 2, 3, 4, 5}, b(5, 10.0f);
    int64_t dims[] = {5};
    auto results = model.run({makeTensor(x, dims), makeTensor(b, dims)});
    ASSERT_TRUE(bool(results)) << toString(results.takeError());
    EXPECT_EQ(CompiledModel::elements<float>((*results)[0]).vec(),
              (std::vector<float>{11, 22, 33, 44, 51}));
  }

  std::string diagnostics() {
    std::string all;
    for (const std::string &message : messages)
      all += message + "\n";
    return all;
  }

  llvm::SmallString<128> directory;
  ModelBuilder builder;
  std::vector<std::string> messages;
  mlir::ScopedDiagnosticHandler handler{&builder.context,
                                        [this](mlir::Diagnostic &diagnostic) {
                                          messages.push_back(diagnostic.str());
                                          return mlir::success();
                                        }};
};

/// Symbols of the dynamic table, without versions: (defined, undefined).
std::pair<std::set<std::string>, std::set<std::string>>
dynamicSymbols(const std::string &file) {
  std::set<std::string> defined, undefined;
  auto binary = llvm::object::ObjectFile::createObjectFile(file);
  EXPECT_TRUE(bool(binary));
  auto *elf = llvm::cast<llvm::object::ELFObjectFileBase>(binary->getBinary());
  for (const auto &symbol : elf->getDynamicSymbolIterators()) {
    std::string name = cantFail(symbol.getName()).str();
    uint32_t flags = cantFail(symbol.getFlags());
    (flags & llvm::object::SymbolRef::SF_Undefined ? undefined : defined)
        .insert(name);
  }
  return {defined, undefined};
}

TEST_F(EmitTest, SharedObjectRuns) {
  ASSERT_TRUE(emit("scale.so", ArtifactKind::SharedObject)) << diagnostics();
  EXPECT_EQ(files(), (std::set<std::string>{"scale.so"}));
  auto model = CompiledModel::load(path("scale.so"));
  ASSERT_TRUE(bool(model)) << toString(model.takeError());
  expectResult(**model);
  EXPECT_STREQ(nibble_model_name((*model)->getModel()), "scale");
  EXPECT_STREQ(nibble_model_producer((*model)->getModel()), "EmitTest");
  EXPECT_STREQ(nibble_model_input((*model)->getModel(), 1)->name, "b");
  EXPECT_STREQ(nibble_model_input((*model)->getModel(), 1)->dim_names[0], "n");
}

// The contract of a compiled model with the system: C library, mathematics,
// OpenMP. Whoever needs more must say so here.
TEST_F(EmitTest, SymbolsAreFixed) {
  ASSERT_TRUE(emit("scale.so", ArtifactKind::SharedObject)) << diagnostics();
  auto [defined, undefined] = dynamicSymbols(path("scale.so"));
  const std::set<std::string> exported = {"nibble_context_cache_state",
                                          "nibble_context_create",
                                          "nibble_context_free",
                                          "nibble_context_keep_caches",
                                          "nibble_context_memory",
                                          "nibble_context_observe",
                                          "nibble_context_profile",
                                          "nibble_context_read_cache",
                                          "nibble_context_truncate_caches",
                                          "nibble_dtype_name",
                                          "nibble_dtype_size",
                                          "nibble_last_error",
                                          "nibble_model_cache",
                                          "nibble_model_cache_count",
                                          "nibble_model_chip",
                                          "nibble_model_free",
                                          "nibble_model_input",
                                          "nibble_model_input_count",
                                          "nibble_model_load",
                                          "nibble_model_name",
                                          "nibble_model_open",
                                          "nibble_model_options",
                                          "nibble_model_output",
                                          "nibble_model_output_count",
                                          "nibble_model_producer",
                                          "nibble_model_scale",
                                          "nibble_model_sidecar",
                                          "nibble_model_target",
                                          "nibble_model_verify",
                                          "nibble_model_weight_bytes",
                                          "nibble_run",
                                          "nibble_shared_model",
                                          "nibble_status_string",
                                          "nibble_version"};
  EXPECT_EQ(defined, exported);
  const std::set<std::string> allowed = {
      // libc
      "__errno_location", "__tls_get_addr", "_setjmp", "abort", "access",
      "calloc", "clock_gettime", "close", "dladdr1", "dlclose", "dlerror",
      "dlopen", "dlsym", "fprintf", "free", "fstat", "fwrite", "longjmp",
      "malloc", "memcmp", "memcpy", "memmove", "memset", "mmap", "munmap",
      "open", "posix_memalign", "pread", "readlink", "realpath", "snprintf",
      "stderr", "strchr", "strcmp", "strrchr", "strerror", "strlen", "syscall",
      "vsnprintf",
      // libomp
      "__kmpc_for_static_fini", "__kmpc_for_static_init_8u",
      "__kmpc_for_static_init_8", "__kmpc_fork_call", "__kmpc_barrier",
      "__kmpc_global_thread_num", "__kmpc_push_num_threads", "omp_get_level",
      "omp_get_max_threads", "omp_get_num_threads", "omp_get_thread_num",
      "omp_set_num_threads"};
  for (const std::string &name : undefined)
    EXPECT_TRUE(allowed.count(name)) << name;
}

TEST_F(EmitTest, WeightsAreAlignedToPages) {
  for (ArtifactKind kind :
       {ArtifactKind::SharedObject, ArtifactKind::Executable}) {
    ASSERT_TRUE(emit("scale", kind)) << diagnostics();
    auto binary = llvm::object::ObjectFile::createObjectFile(path("scale"));
    ASSERT_TRUE(bool(binary));
    bool found = false;
    for (const llvm::object::ELFSectionRef section :
         binary->getBinary()->sections()) {
      if (cantFail(section.getName()) != ".nibble_weights")
        continue;
      found = true;
      EXPECT_EQ(section.getAddress() % 4096, 0u);
      EXPECT_EQ(section.getOffset() % 4096, 0u);
      EXPECT_EQ(section.getSize(), 16u);
      EXPECT_EQ(section.getFlags() &
                    (llvm::ELF::SHF_WRITE | llvm::ELF::SHF_ALLOC),
                uint64_t(llvm::ELF::SHF_ALLOC));
    }
    EXPECT_TRUE(found);
  }
}

TEST_F(EmitTest, SidecarIsChecked) {
  ASSERT_TRUE(
      emit("scale.so", ArtifactKind::SharedObject, WeightPlacement::Sidecar))
      << diagnostics();
  const std::string sidecar = path("scale.so.weights");
  ASSERT_EQ(files(), (std::set<std::string>{"scale.so", "scale.so.weights"}));
  {
    auto model = CompiledModel::load(path("scale.so"));
    ASSERT_TRUE(bool(model)) << toString(model.takeError());
    EXPECT_STREQ(nibble_model_sidecar((*model)->getModel()),
                 "scale.so.weights");
    expectResult(**model);
  }
  auto expectError = [&](llvm::StringRef part) {
    auto model = CompiledModel::load(path("scale.so"));
    ASSERT_FALSE(bool(model));
    std::string text = toString(model.takeError());
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_NE(text.find(sidecar), std::string::npos) << text;
  };
  auto good =
      cantFail(llvm::errorOrToExpected(llvm::MemoryBuffer::getFile(sidecar)));
  auto write = [&](llvm::StringRef bytes) {
    std::error_code ec;
    llvm::raw_fd_ostream(sidecar, ec) << bytes;
  };
  write(good->getBuffer().drop_back(1));
  expectError("cut off");
  std::string changed = good->getBuffer().str();
  changed[24] ^= 1; // The hash in the header.
  write(changed);
  expectError("does not belong to model 'scale'");
  write("something else");
  expectError("not a weights file");
  fs::remove(sidecar);
  expectError("No such file");
}

TEST_F(EmitTest, ExecutableTakesTheOptionsOfNibbleRun) {
  for (auto placement : {WeightPlacement::Embedded, WeightPlacement::Sidecar}) {
    ASSERT_TRUE(emit("scale", ArtifactKind::Executable, placement))
        << diagnostics();
    auto [text, status] = command(path("scale") + " --benchmark=0");
    EXPECT_EQ(status, 0) << text;
    // The library's folder is not where libraries are looked for.
    EXPECT_NE(text.find("y: float32 [1] = "), std::string::npos) << text;
  }
  auto [text, status] = command("cd / && " + path("scale"));
  EXPECT_EQ(status, 1);
  EXPECT_NE(text.find("missing inputs: 'x' float32 [?], 'b' float32 [?]"),
            std::string::npos)
      << text;
  EXPECT_EQ(command(path("scale") + " --no-such").second, 2);
}

TEST_F(EmitTest, ObjectLinksIntoPrograms) {
  ASSERT_TRUE(emit("my-model.o", ArtifactKind::Object)) << diagnostics();
  EXPECT_EQ(files(), (std::set<std::string>{"my-model.h", "my-model.o"}));
  std::error_code ec;
  llvm::raw_fd_ostream(path("main.c"), ec) << R"c(
#include "my-model.h"
#include <stdio.h>
int main(void) {
  nibble_model *model;
  nibble_context *context;
  float x[3] = {1, 2, 3}, b[3] = {5, 5, 5};
  int64_t dims[1] = {3};
  nibble_tensor in[MY_INPUTS] = {
      {.data = x, .dtype = NIBBLE_FLOAT, .rank = 1, .dims = dims},
      {.data = b, .dtype = NIBBLE_FLOAT, .rank = 1, .dims = dims}};
  nibble_tensor out = {0};
  if (nibble_model_open(&nibble_model_my_model, &model) ||
      nibble_context_create(model, NULL, &context) ||
      nibble_run(context, in, 2, &out, 1))
    return 1;
  const float *y = out.data;
  printf("%g %g %g\n", y[0], y[1], y[2]);
  nibble_context_free(context);
  nibble_model_free(model);
  return 0;
}
)c";
  auto [text, status] = command(
      NIBBLE_TEST_CC " -Wall -Werror -DMY_INPUTS=NIBBLE_MODEL_MY_MODEL_INPUTS "
                     "-I" NIBBLE_TEST_INCLUDE " " +
      path("main.c") + " " + path("my-model.o") + " -o " + path("main") +
      " " NIBBLE_TEST_LIBS);
  ASSERT_EQ(status, 0) << text;
  EXPECT_EQ(command(path("main")).first, "6 12 18\n");
}

TEST_F(EmitTest, ErrorsLeaveNothingBehind) {
  EXPECT_FALSE(emit("missing/scale.so", ArtifactKind::SharedObject));
  EXPECT_NE(diagnostics().find("can't write"), std::string::npos);
  target::EmitOptions options;
  options.output = path("scale.so");
  EXPECT_FALSE(succeeded(builder.emit(R"mlir(
func.func private @no_such_function()
func.func @main_graph(%x: memref<4xf32>) -> memref<4xf32>
    attributes {llvm.emit_c_interface} {
  func.call @no_such_function() : () -> ()
  return %x : memref<4xf32>
}
)mlir",
                                      options)));
  EXPECT_NE(diagnostics().find("no_such_function"), std::string::npos)
      << diagnostics();
  EXPECT_EQ(files(), std::set<std::string>());
}

TEST_F(EmitTest, UnknownCpuIsAnErrorWithChoices) {
  target::EmitOptions options;
  options.output = path("scale.so");
  EXPECT_FALSE(succeeded(builder.emit(scaleModel, options, "pentium-99")));
  EXPECT_NE(diagnostics().find("unknown --march 'pentium-99'"),
            std::string::npos);
  EXPECT_NE(diagnostics().find("x86-64-v3"), std::string::npos);
}

TEST_F(EmitTest, FeaturesOfTheTargetAreChecked) {
  auto error = [&] {
    return mlir::emitError(mlir::UnknownLoc::get(&builder.context));
  };
  auto v3 = target::CpuTarget::get("x86-64-v3", error);
  ASSERT_TRUE(succeeded(v3));
  EXPECT_TRUE(v3->has("avx2"));
  EXPECT_FALSE(v3->has("avx512f"));
  auto spr = target::CpuTarget::get("sapphirerapids", error);
  ASSERT_TRUE(succeeded(spr));
  EXPECT_TRUE(spr->has("amx-int8"));
  EXPECT_TRUE(spr->has("avx512vnni"));
}

// Results that alias an input or a weight must be copies of their own.
TEST_F(EmitTest, ResultsMayAliasInputsAndWeights) {
  auto model = builder.compile(R"mlir(
func.func @main_graph(%x: memref<4xf32>) -> (memref<4xf32>, memref<2xf32>)
    attributes {llvm.emit_c_interface} {
  %w = nibble.weight dense<[1.5, 2.5]> : tensor<2xf32> -> memref<2xf32>
  return %x, %w : memref<4xf32>, memref<2xf32>
}
)mlir");
  ASSERT_TRUE(succeeded(model)) << diagnostics();
  std::vector<float> x = {1, 2, 3, 4};
  int64_t dims[] = {4};
  auto results = (*model)->run({makeTensor(x, dims)});
  ASSERT_TRUE(bool(results)) << toString(results.takeError());
  EXPECT_NE((*results)[0].data, x.data());
  x.assign(4, 0);
  EXPECT_EQ(CompiledModel::elements<float>((*results)[0]).vec(),
            (std::vector<float>{1, 2, 3, 4}));
  auto *weights = static_cast<float *>((*results)[1].data);
  EXPECT_EQ(weights[1], 2.5f);
  weights[1] = 7; // The mapping of the weights is read-only; this is not.
  auto again = (*model)->run({makeTensor(x, dims)});
  ASSERT_TRUE(bool(again));
  EXPECT_EQ(CompiledModel::elements<float>((*again)[1])[1], 2.5f);
}
} // namespace
