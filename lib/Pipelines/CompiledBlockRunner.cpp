//===- CompiledBlockRunner.cpp - Pieces of a model, compiled --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/CompiledBlockRunner.h"

#include "CompiledBlockLoss.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "nibble/Calibration/StateStore.h"
#include "nibble/Calibration/WindowRows.h"
#include "nibble/Dialect/Nibble/Transforms/BlockAnalysis.h"
#include "nibble/Dialect/Nibble/Transforms/OutlinePiece.h"
#include "nibble/Support/Progress.h"
#include "nibble/Target/ModelInfo.h"
#include "llvm/ADT/StringSet.h"
#include <unistd.h>

using namespace mlir;
using namespace nibble;
using namespace nibble::calibration;

/// Physical memory of the machine.
static uint64_t getMachineMemory() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

namespace {
using States = std::vector<StateStore::TensorRef>;

class CompiledBlockRunner : public BlockRunner {
public:
  explicit CompiledBlockRunner(const BlockRunnerOptions &options)
      : options(options), store(options.memoryLimit ? options.memoryLimit
                                                    : getMachineMemory() / 2),
        pieces(options.threads, options.compute) {}

  LogicalResult initialize(ModuleOp original, OpenSamplesFn openSamples,
                           ModuleOp floatModel);

  ArrayRef<BlockLayer> getLayers() const override { return layers; }
  ArrayRef<BlockStage> getStages() const override { return stages; }
  ArrayRef<calibration::Block> getBlocks() const override { return blocks; }
  unsigned getNumSamples() const override { return numSamples; }
  unsigned getNumBatches() const override { return batches.size(); }

  llvm::Error runStage(unsigned stage, RowsFn consume) override;
  llvm::Error replaceWeight(unsigned layer, ArrayRef<float> weight) override;
  llvm::Error rewind(unsigned block) override;
  llvm::Error runBlock(unsigned block, ArrayRef<WeightReplacement> replacements,
                       ResultFn consume) override;
  llvm::Expected<std::unique_ptr<BlockLoss>>
  createLoss(unsigned block, ArrayRef<unsigned> layers) override;
  llvm::Error runVariants(ArrayRef<std::vector<unsigned>> variants,
                          WeightFn makeWeight, OutputFn consume) override;

private:
  using Cut = BlockAnalysis::Cut;
  using Known = llvm::DenseMap<Value, StateStore::TensorRef>;

  /// A run of the model that has weights of its own, if it is not that of
  /// variant -1.
  struct Branch {
    int64_t variant;
    std::vector<States> batches;
  };

  LogicalResult prepareModule(ModuleOp original);
  void describe();
  llvm::Error readSamples(OpenSamplesFn openSamples);
  unsigned findBlockBegin(unsigned block) const;
  llvm::Expected<Known> runPiece(const Piece &piece, const Cut &from,
                                 const States &states, StringRef place);
  llvm::Error advance(unsigned toCut, RowsFn *consume);
  llvm::Expected<Known> advanceStates(const Piece &piece, const Cut &from,
                                      const Cut &to, States &states,
                                      StringRef place);
  llvm::Error advanceReference(unsigned toCut);
  llvm::Expected<BlockLossInput> describeLoss(unsigned block,
                                              ArrayRef<unsigned> layers);
  llvm::Error checkLoss(unsigned block, ArrayRef<unsigned> layers,
                        CompiledBlockLoss &loss, ArrayRef<float> target);
  llvm::Error advanceBranch(Branch &branch, const Piece &piece, const Cut &from,
                            const Cut &to);
  llvm::Error consumeOutputs(const Branch &branch, OutputFn consume);
  llvm::Error consumeActivation(const BlockAnalysis::Stage &stage,
                                const StateStore::Tensor &tensor,
                                RowsFn consume);
  llvm::Error checkKept(unsigned block) const;
  void dropWeights();

  BlockRunnerOptions options;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<BlockAnalysis> analysis;
  std::vector<BlockLayer> layers;
  std::vector<BlockStage> stages;
  std::vector<calibration::Block> blocks;
  /// By layer: its operation in `module`.
  std::vector<QuantizableOpInterface> operations;
  unsigned numSamples = 0;
  /// Of each batch: its file and samples, for messages.
  std::vector<std::string> places;

  /// Before the states, which give their space back to it.
  StateStore store;
  PieceRunner pieces;
  /// Of each batch, the live values of the cut that was reached.
  std::vector<States> batches;
  unsigned reached = 0;
  bool checkedInputs = false;
  /// With `keepBlockInputs`: the same at the begin of a block.
  std::vector<States> blockInputs;
  int64_t keptBlock = -1;

  /// With `keepReference`: sizes of the inputs of each batch, what the float
  /// model has at the cut that it was brought to, and its operators.
  using Sizes = llvm::SmallVector<int64_t, 4>;
  std::vector<std::vector<Sizes>> inputSizes;
  std::vector<States> reference;
  unsigned referenceReached = 0;
  OwningOpRef<ModuleOp> floatModule;
  std::optional<FloatModel> floatModel;
  llvm::StringSet<> checkedLosses;
};
} // namespace

//===----------------------------------------------------------------------===//
// Preparation
//===----------------------------------------------------------------------===//

/// The function that is called from outside, or null.
static func::FuncOp findEntry(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isDeclaration())
      return function;
  return {};
}

/// Sizes that are those of the inputs need not be carried.
LogicalResult CompiledBlockRunner::prepareModule(ModuleOp original) {
  module = original.clone();
  int64_t number = 0;
  Builder b(original.getContext());
  module->walk([&](QuantizableOpInterface op) {
    op->setAttr(operationAttrName, b.getI64IntegerAttr(number++));
  });
  PassManager passes(original.getContext());
  if (failed(parsePassPipeline("resolve-ranked-shaped-type-result-dims,"
                               "canonicalize,cse",
                               passes)) ||
      failed(passes.run(*module)))
    return failure();
  func::FuncOp entry = findEntry(*module);
  if (!entry)
    return original.emitError("expected a function with a body");
  analysis = std::make_unique<BlockAnalysis>(entry);
  if (analysis->getStages().empty())
    return original.emitError(
        "no layer can be quantized with samples: none that is asked for "
        "multiplies float32 activations with a constant weight outside of "
        "loops and branches");
  return success();
}

void CompiledBlockRunner::describe() {
  for (auto [i, stage] : llvm::enumerate(analysis->getStages())) {
    BlockStage &described = stages.emplace_back();
    described.block = stage.block;
    described.columns = stage.columns;
    described.groups = stage.groups;
    for (QuantizableOpInterface op : stage.layers) {
      described.layers.push_back(layers.size());
      BlockLayer &layer = layers.emplace_back();
      WeightView view = op.getWeightView();
      layer.name = op.getLayerName().str();
      layer.rows = view.rows;
      layer.columns = view.columns;
      layer.stage = i;
      layer.operation =
          op->getAttrOfType<IntegerAttr>(operationAttrName).getInt();
      operations.push_back(op);
    }
    if (stage.block == blocks.size())
      blocks.push_back({static_cast<unsigned>(i), 0});
    ++blocks[stage.block].numStages;
  }
}

/// The inputs of the model, with keys and values of positions before.
static FailureOr<std::vector<ModelInput>> getInputs(func::FuncOp entry) {
  FailureOr<target::ModelInfo> info = target::ModelInfo::get(entry);
  if (failed(info))
    return failure();
  std::vector<ModelInput> inputs;
  for (auto [argument, known] :
       llvm::zip_equal(entry.getArguments(), info->inputs)) {
    ModelInput &input = inputs.emplace_back();
    input.name = known.name;
    input.dtype = known.dtype;
    input.dims = known.dims;
    for (Operation *user : argument.getUsers())
      if (auto append = dyn_cast<AppendCacheOp>(user))
        if (append.getPast() == argument)
          input.growingAxis = append.getAxis();
  }
  return inputs;
}

llvm::Error CompiledBlockRunner::readSamples(OpenSamplesFn openSamples) {
  const Cut &begin = analysis->getCuts().front();
  FailureOr<std::vector<ModelInput>> inputs =
      getInputs(begin.before->getParentOfType<func::FuncOp>());
  if (failed(inputs))
    return llvm::createStringError(
        "the inputs of the model can't be described");
  auto reader = openSamples(*inputs);
  if (!reader)
    return reader.takeError();
  numSamples = (*reader)->getNumSamples();
  for (uint64_t i = 0, count = (*reader)->getNumBatches(); i != count; ++i) {
    llvm::Expected<SampleBatch> batch = (*reader)->read(i);
    if (!batch)
      return batch.takeError();
    places.push_back(batch->place);
    if (options.keepReference) {
      std::vector<Sizes> &sizes = inputSizes.emplace_back();
      for (const nibble_tensor &tensor : batch->inputs)
        sizes.emplace_back(ArrayRef(tensor.dims, tensor.rank));
    }
    States &states = batches.emplace_back();
    for (Value value : begin.live) {
      const nibble_tensor &tensor =
          batch->inputs[cast<BlockArgument>(value).getArgNumber()];
      llvm::Expected<StateStore::TensorRef> kept = store.add(tensor);
      if (!kept)
        return kept.takeError();
      states.push_back(std::move(*kept));
    }
  }
  return llvm::Error::success();
}

LogicalResult CompiledBlockRunner::initialize(ModuleOp original,
                                              OpenSamplesFn openSamples,
                                              ModuleOp floatOriginal) {
  options.keepBlockInputs |= options.keepReference;
  if (failed(prepareModule(original)))
    return failure();
  describe();
  if (options.keepReference && floatOriginal) {
    floatModule = floatOriginal.clone();
    if (func::FuncOp entry = findEntry(*floatModule))
      floatModel.emplace(entry);
  }
  if (llvm::Error error = readSamples(openSamples))
    return original.emitError() << llvm::toString(std::move(error));
  return success();
}

bool nibble::readsTokens(ArrayRef<ModelInput> inputs) {
  return !inputs.empty() && (inputs.front().dtype == NIBBLE_INT64 ||
                             inputs.front().dtype == NIBBLE_INT32);
}

int64_t nibble::chooseBatch(ArrayRef<ModelInput> inputs, int64_t window) {
  constexpr int64_t maxTokens = 2048, maxElements = 1 << 18, maxSamples = 64;
  if (inputs.empty())
    return 1;
  const ModelInput &first = inputs.front();
  if (readsTokens(inputs))
    return std::max<int64_t>(1, maxTokens / std::max<int64_t>(window, 1));
  int64_t elements = 1;
  for (int64_t size : ArrayRef(first.dims).drop_front(!first.dims.empty()))
    elements *= std::max<int64_t>(size, 1);
  return std::clamp<int64_t>(maxElements / elements, 1, maxSamples);
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

unsigned CompiledBlockRunner::findBlockBegin(unsigned block) const {
  unsigned found = 0;
  for (auto [i, cut] : llvm::enumerate(analysis->getCuts()))
    if (cut.stage < 0 && cut.block == block)
      found = i;
  return found;
}

/// Hands the rows of an activation to `consume`.
llvm::Error
CompiledBlockRunner::consumeActivation(const BlockAnalysis::Stage &stage,
                                       const StateStore::Tensor &tensor,
                                       RowsFn consume) {
  std::vector<char> buffer;
  llvm::Expected<ArrayRef<char>> bytes = store.read(tensor, buffer);
  if (!bytes)
    return bytes.takeError();
  // States are aligned.
  ArrayRef<float> values(reinterpret_cast<const float *>(bytes->data()),
                         bytes->size() / sizeof(float));
  if (auto conv = dyn_cast<ConvOp>(*stage.layers.front())) {
    WindowShape shape;
    llvm::append_range(shape.kernel, conv.getWeightShape().drop_front(2));
    llvm::append_range(shape.strides, conv.getStrides());
    llvm::append_range(shape.dilations, conv.getDilations());
    llvm::append_range(shape.pads, conv.getPads());
    shape.groups = conv.getGroup();
    return forEachWindow(values, tensor.dims, shape, consume);
  }
  ActivationRows rows;
  rows.columns = stage.columns;
  int64_t left = values.size() / stage.columns;
  constexpr int64_t maxBytes = 16 << 20;
  int64_t most =
      std::max<int64_t>(1, maxBytes / (stage.columns * sizeof(float)));
  while (left > 0) {
    rows.rows = std::min(left, most);
    rows.values = values.take_front(rows.rows * stage.columns);
    if (llvm::Error error = consume(rows))
      return error;
    values = values.drop_front(rows.values.size());
    left -= rows.rows;
  }
  return llvm::Error::success();
}

/// The values at the begin of a piece, and those that it computes.
llvm::Expected<CompiledBlockRunner::Known>
CompiledBlockRunner::runPiece(const Piece &piece, const Cut &from,
                              const States &states, StringRef place) {
  Known known;
  for (auto [value, state] : llvm::zip_equal(from.live, states))
    known[value] = state;
  llvm::Expected<ArrayRef<nibble_tensor>> results =
      pieces.run(piece, known, store);
  if (!results)
    return llvm::createStringError("with " + place + ": " +
                                   llvm::toString(results.takeError()));
  for (auto [value, result] : llvm::zip_equal(piece.results, *results)) {
    llvm::Expected<StateStore::TensorRef> kept = store.add(result);
    if (!kept)
      return kept.takeError();
    known[value] = std::move(*kept);
  }
  return known;
}

/// Brings the states of a batch from one cut to another; all values that the
/// piece between them has.
llvm::Expected<CompiledBlockRunner::Known>
CompiledBlockRunner::advanceStates(const Piece &piece, const Cut &from,
                                   const Cut &to, States &states,
                                   StringRef place) {
  llvm::Expected<Known> known = runPiece(piece, from, states, place);
  if (!known)
    return known.takeError();
  states.clear();
  for (Value value : to.live)
    states.push_back(known->at(value));
  return known;
}

/// Brings all batches from the cut that was reached to `toCut`.
llvm::Error CompiledBlockRunner::advance(unsigned toCut, RowsFn *consume) {
  const Cut &from = analysis->getCuts()[reached];
  const Cut &to = analysis->getCuts()[toCut];
  const BlockAnalysis::Stage *stage =
      to.stage >= 0 ? &analysis->getStages()[to.stage] : nullptr;
  Piece piece = outlinePiece(*analysis, from, to, !checkedInputs);
  checkedInputs |= static_cast<bool>(piece.module);
  if (llvm::Error error = pieces.prepare(piece))
    return error;
  for (auto [states, place] : llvm::zip_equal(batches, places)) {
    llvm::Expected<Known> known = advanceStates(piece, from, to, states, place);
    if (!known)
      return known.takeError();
    if (!stage || !consume)
      continue;
    if (llvm::Error error =
            consumeActivation(*stage, *known->at(stage->activation), *consume))
      return error;
  }
  reached = toCut;
  dropWeights();
  return llvm::Error::success();
}

llvm::Error CompiledBlockRunner::runStage(unsigned stage, RowsFn consume) {
  ArrayRef<Cut> cuts = analysis->getCuts();
  unsigned target = reached;
  while (target != cuts.size() && cuts[target].stage != stage)
    ++target;
  if (target == cuts.size() || target == reached)
    return llvm::createStringError(
        "stage " + Twine(stage) +
        " was asked for after a later one or a second time");
  while (reached != target) {
    if (cuts[reached].stage < 0 && options.keepBlockInputs &&
        findBlockBegin(cuts[reached].block) == reached) {
      blockInputs = batches;
      keptBlock = cuts[reached].block;
      // Up to the first block nothing was quantized.
      if (options.keepReference && reference.empty()) {
        reference = batches;
        referenceReached = reached;
      }
    }
    unsigned next = reached + 1;
    if (llvm::Error error = advance(next, next == target ? &consume : nullptr))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error CompiledBlockRunner::replaceWeight(unsigned layer,
                                               ArrayRef<float> weight) {
  const BlockLayer &described = layers[layer];
  if (static_cast<int64_t>(weight.size()) != described.rows * described.columns)
    return llvm::createStringError(
        "layer \"" + described.name + "\": expected a weight of " +
        Twine(described.rows) + " x " + Twine(described.columns) + ", got " +
        Twine(weight.size()) + " values");
  pieces.setWeight(operations[layer], weight);
  return llvm::Error::success();
}

/// Weights of layers that will not run again are freed.
void CompiledBlockRunner::dropWeights() {
  const Cut &cut = analysis->getCuts()[reached];
  for (auto [layer, op] : llvm::zip_equal(layers, operations))
    if (op->isBeforeInBlock(cut.before) &&
        (!options.keepBlockInputs || stages[layer.stage].block < cut.block))
      pieces.dropWeight(op);
}

llvm::Error CompiledBlockRunner::checkKept(unsigned block) const {
  if (options.keepBlockInputs && keptBlock == static_cast<int64_t>(block))
    return llvm::Error::success();
  return llvm::createStringError("the inputs of block " + Twine(block) +
                                 " were not kept: run one of its stages "
                                 "first, with keepBlockInputs");
}

llvm::Error CompiledBlockRunner::rewind(unsigned block) {
  if (llvm::Error error = checkKept(block))
    return error;
  batches = blockInputs;
  reached = findBlockBegin(block);
  return llvm::Error::success();
}

llvm::Error
CompiledBlockRunner::runBlock(unsigned block,
                              ArrayRef<WeightReplacement> replacements,
                              ResultFn consume) {
  if (llvm::Error error = checkKept(block))
    return error;
  ArrayRef<Cut> cuts = analysis->getCuts();
  const Cut &from = cuts[findBlockBegin(block)];
  const Cut &to = cuts[findBlockBegin(block + 1)];
  Piece piece = outlinePiece(*analysis, from, to, /*withInputChecks=*/false);
  PieceRunner::Weights own;
  for (const WeightReplacement &replacement : replacements)
    own[operations[replacement.layer]] = replacement.weight;
  if (llvm::Error error = pieces.prepare(piece, own))
    return error;
  for (auto [batch, states] : llvm::enumerate(blockInputs)) {
    llvm::DenseMap<Value, StateStore::TensorRef> known;
    for (auto [value, state] : llvm::zip_equal(from.live, states))
      known[value] = state;
    llvm::Expected<ArrayRef<nibble_tensor>> results =
        pieces.run(piece, known, store);
    if (!results)
      return results.takeError();
    for (auto [i, result] : llvm::enumerate(*results)) {
      if (result.dtype != NIBBLE_FLOAT)
        continue;
      BlockResult described;
      described.batch = batch;
      described.index = i;
      described.values = CompiledModel::elements<float>(result);
      described.dims = ArrayRef(result.dims, result.rank);
      if (llvm::Error error = consume(described))
        return error;
    }
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

/// Brings the float model to a begin of a block.
llvm::Error CompiledBlockRunner::advanceReference(unsigned toCut) {
  ArrayRef<Cut> cuts = analysis->getCuts();
  while (referenceReached < toCut) {
    unsigned next =
        std::min(toCut, findBlockBegin(cuts[referenceReached].block + 1));
    Piece piece = outlinePiece(*analysis, cuts[referenceReached], cuts[next],
                               /*withInputChecks=*/false);
    if (llvm::Error error = pieces.prepareOriginal(piece))
      return error;
    for (auto [states, place] : llvm::zip_equal(reference, places)) {
      llvm::Expected<Known> known = advanceStates(piece, cuts[referenceReached],
                                                  cuts[next], states, place);
      if (!known)
        return known.takeError();
    }
    referenceReached = next;
  }
  return llvm::Error::success();
}

/// Finds the block in the float model.
llvm::Expected<BlockLossInput>
CompiledBlockRunner::describeLoss(unsigned block, ArrayRef<unsigned> numbers) {
  if (!floatModel)
    return llvm::createStringError(
        "derivatives need the operators of the model: compile from the ONNX "
        "file, or from phase onnx, in one go");
  ArrayRef<Cut> cuts = analysis->getCuts();
  const Cut &from = cuts[findBlockBegin(block)];
  const Cut &to = cuts[findBlockBegin(block + 1)];
  BlockLossInput input;
  std::optional<size_t> target;
  for (auto [i, value] : llvm::enumerate(to.live))
    if (!isa<BlockArgument>(value) && getElementTypeOrSelf(value).isF32()) {
      if (target)
        return llvm::createStringError("the block has more than one result");
      target = i;
      input.result = floatModel->find(value);
    }
  if (!input.result)
    return llvm::createStringError(
        "the result of the block is not that of an operator of the model");
  for (auto [i, op] : llvm::enumerate(operations)) {
    Operation *layer = floatModel->findLayer(op);
    if (llvm::is_contained(numbers, i)) {
      if (!layer)
        return llvm::createStringError("layer \"" + layers[i].name +
                                       "\" is not one of the model");
    } else if (layer && stages[layers[i].stage].block != block) {
      input.others.push_back(layer);
    }
  }
  for (unsigned number : numbers)
    input.layers.push_back(floatModel->findLayer(operations[number]));

  func::FuncOp entry = findEntry(*floatModule);
  for (auto [i, states] : llvm::enumerate(blockInputs)) {
    BlockLossInput::Batch &batch = input.batches.emplace_back();
    batch.target = reference[i][*target];
    for (auto [number, sizes] : llvm::enumerate(inputSizes[i])) {
      batch.states[entry.getArgument(number)] = nullptr;
      batch.sizes[entry.getArgument(number)] = sizes;
    }
    for (auto [value, state] : llvm::zip_equal(from.live, states)) {
      Value original = floatModel->find(value);
      if (!original)
        return llvm::createStringError(
            "an input of the block is not a result of an operator of the "
            "model");
      batch.states[original] = state;
      batch.sizes[original] = state->dims;
    }
  }
  return std::move(input);
}

/// What the float model computes was found by names, so it is compared with
/// what the block computes, for one batch and the weights of now.
llvm::Error CompiledBlockRunner::checkLoss(unsigned block,
                                           ArrayRef<unsigned> numbers,
                                           CompiledBlockLoss &loss,
                                           ArrayRef<float> target) {
  ArrayRef<Cut> cuts = analysis->getCuts();
  const Cut &from = cuts[findBlockBegin(block)];
  const Cut &to = cuts[findBlockBegin(block + 1)];
  Piece piece = outlinePiece(*analysis, from, to, /*withInputChecks=*/false);
  if (llvm::Error error = pieces.prepare(piece))
    return error;
  States states = blockInputs.front();
  llvm::Expected<Known> known =
      advanceStates(piece, from, to, states, places.front());
  if (!known)
    return known.takeError();
  std::vector<char> buffer;
  double expected = 0, power = 0;
  for (auto [value, state] : llvm::zip_equal(to.live, states)) {
    if (isa<BlockArgument>(value) || !getElementTypeOrSelf(value).isF32())
      continue;
    llvm::Expected<ArrayRef<char>> bytes = store.read(*state, buffer);
    if (!bytes)
      return bytes.takeError();
    ArrayRef<float> values(reinterpret_cast<const float *>(bytes->data()),
                           bytes->size() / sizeof(float));
    for (auto [x, y] : llvm::zip_equal(values, target)) {
      expected += (double(x) - y) * (double(x) - y);
      power += double(y) * y;
    }
  }
  std::vector<std::vector<float>> weights, gradients;
  for (unsigned number : numbers) {
    weights.push_back(pieces.getWeight(operations[number]));
    gradients.emplace_back(weights.back().size());
  }
  SmallVector<ArrayRef<float>> weightRefs(weights.begin(), weights.end());
  SmallVector<MutableArrayRef<float>> gradientRefs(gradients.begin(),
                                                   gradients.end());
  llvm::Expected<double> got = loss.compute({0}, weightRefs, gradientRefs);
  if (!got)
    return got.takeError();
  // Products of bf16 differ by the order of their sums, too.
  double difference = std::abs(*got * target.size() - expected);
  if (!(difference <= 0.25 * expected + 1e-4 * power))
    return llvm::createStringError(
        "its operators in the model compute something else");
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<BlockLoss>>
CompiledBlockRunner::createLoss(unsigned block, ArrayRef<unsigned> layers) {
  if (llvm::Error error = checkKept(block))
    return error;
  if (!options.keepReference)
    return llvm::createStringError("the float model was not kept");
  if (llvm::Error error = advanceReference(findBlockBegin(block + 1)))
    return error;
  llvm::Expected<BlockLossInput> input = describeLoss(block, layers);
  if (!input)
    return input.takeError();
  StateStore::TensorRef firstTarget = input->batches.front().target;
  auto loss =
      std::make_unique<CompiledBlockLoss>(std::move(*input), pieces, store);
  llvm::Expected<StringRef> text = loss->prepare(/*batch=*/0);
  if (!text)
    return text.takeError();
  if (checkedLosses.insert(*text).second) {
    std::vector<char> buffer;
    llvm::Expected<ArrayRef<char>> target = store.read(*firstTarget, buffer);
    if (!target)
      return target.takeError();
    if (llvm::Error error =
            checkLoss(block, layers, *loss,
                      ArrayRef(reinterpret_cast<const float *>(target->data()),
                               target->size() / sizeof(float))))
      return error;
  }
  return std::unique_ptr<BlockLoss>(std::move(loss));
}

//===----------------------------------------------------------------------===//
// Variants
//===----------------------------------------------------------------------===//

llvm::Error CompiledBlockRunner::advanceBranch(Branch &branch,
                                               const Piece &piece,
                                               const Cut &from, const Cut &to) {
  for (auto [states, place] : llvm::zip_equal(branch.batches, places)) {
    llvm::Expected<Known> known = advanceStates(piece, from, to, states, place);
    if (!known)
      return known.takeError();
  }
  return llvm::Error::success();
}

llvm::Error CompiledBlockRunner::consumeOutputs(const Branch &branch,
                                                OutputFn consume) {
  std::vector<char> buffer;
  for (auto [batch, states] : llvm::enumerate(branch.batches))
    for (auto [i, state] : llvm::enumerate(states)) {
      if (state->dtype != NIBBLE_FLOAT)
        continue;
      llvm::Expected<ArrayRef<char>> bytes = store.read(*state, buffer);
      if (!bytes)
        return bytes.takeError();
      BlockResult described;
      described.batch = batch;
      described.index = i;
      // States are aligned.
      described.values = {reinterpret_cast<const float *>(bytes->data()),
                          bytes->size() / sizeof(float)};
      described.dims = state->dims;
      if (llvm::Error error = consume(branch.variant, described))
        return error;
    }
  return llvm::Error::success();
}

llvm::Error
CompiledBlockRunner::runVariants(ArrayRef<std::vector<unsigned>> variants,
                                 WeightFn makeWeight, OutputFn consume) {
  if (reached != 0)
    return llvm::createStringError("variants are run before any stage");
  const Cut end = analysis->getEnd();
  if (llvm::none_of(end.live, [](Value value) {
        return getElementTypeOrSelf(value).isF32();
      }))
    return llvm::createStringError(
        "the last layers of the model lead to none of its float32 outputs");
  SmallVector<const Cut *> path;
  for (const Cut &cut : analysis->getCuts())
    if (cut.stage < 0)
      path.push_back(&cut);
  path.push_back(&end);

  std::vector<Branch> branches;
  branches.push_back({-1, std::move(batches)});
  std::vector<bool> started(variants.size());
  for (size_t i = 0; i + 1 != path.size(); ++i) {
    const Cut &from = *path[i], &to = *path[i + 1];
    auto isHere = [&](unsigned layer) {
      return !operations[layer]->isBeforeInBlock(from.before) &&
             operations[layer]->isBeforeInBlock(to.before);
    };
    for (auto [variant, changed] : llvm::enumerate(variants))
      if (!started[variant] && llvm::any_of(changed, isHere)) {
        started[variant] = true;
        branches.push_back(
            {static_cast<int64_t>(variant), branches.front().batches});
      }
    Piece piece = outlinePiece(*analysis, from, to, /*withInputChecks=*/i == 0);
    if (llvm::Error error = pieces.prepare(piece))
      return error;
    // Outputs may be much larger than states: none is kept.
    auto step = [&](Branch &branch) -> llvm::Error {
      if (llvm::Error error = advanceBranch(branch, piece, from, to))
        return error;
      if (i + 2 != path.size())
        return llvm::Error::success();
      llvm::Error error = consumeOutputs(branch, consume);
      branch.batches.clear();
      return error;
    };
    // Those without weights of their own here share what was prepared.
    std::vector<Branch *> others;
    for (auto [done, branch] : llvm::enumerate(branches)) {
      reportProgress(i * branches.size() + done,
                     (path.size() - 1) * branches.size(),
                     "outputs of the model");
      if (branch.variant >= 0 && llvm::any_of(variants[branch.variant], isHere))
        others.push_back(&branch);
      else if (llvm::Error error = step(branch))
        return error;
    }
    for (Branch *branch : others) {
      std::vector<std::vector<float>> weights;
      PieceRunner::Weights own;
      for (unsigned layer : variants[branch->variant]) {
        if (!isHere(layer))
          continue;
        llvm::Expected<std::vector<float>> weight =
            makeWeight(branch->variant, layer);
        if (!weight)
          return weight.takeError();
        weights.push_back(std::move(*weight));
        own[operations[layer]] = weights.back();
      }
      if (llvm::Error error = pieces.prepare(piece, own))
        return error;
      if (llvm::Error error = step(*branch))
        return error;
    }
  }
  return llvm::Error::success();
}

FailureOr<std::unique_ptr<BlockRunner>>
nibble::createCompiledBlockRunner(ModuleOp module, OpenSamplesFn openSamples,
                                  const BlockRunnerOptions &options,
                                  ModuleOp floatModel) {
  auto runner = std::make_unique<CompiledBlockRunner>(options);
  if (failed(runner->initialize(module, openSamples, floatModel)))
    return failure();
  return std::unique_ptr<BlockRunner>(std::move(runner));
}
