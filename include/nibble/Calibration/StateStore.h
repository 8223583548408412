//===- StateStore.h - Tensors in memory or on disk -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_STATESTORE_H
#define NIBBLE_CALIBRATION_STATESTORE_H

#include "nibble/Runtime/nibble.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace nibble::calibration {

/// Keeps the hidden states of many samples: in memory up to a limit, the rest
/// in a temporary file that has no name, so that nothing is left behind however
/// the process ends. For one thread.
class StateStore {
public:
  /// `limit` is in bytes. The file is made in `folder` when it is needed;
  /// empty: the system's folder for temporary files.
  explicit StateStore(uint64_t limit, llvm::StringRef folder = "");
  ~StateStore();
  StateStore(const StateStore &) = delete;

  /// A tensor that is kept. The last copy of the pointer frees the space, which
  /// the store then uses again; the store must still exist.
  class Tensor {
  public:
    ~Tensor();
    int32_t dtype = 0; ///< nibble_dtype
    llvm::SmallVector<int64_t, 4> dims;
    uint64_t bytes = 0;

  private:
    friend class StateStore;
    StateStore *store = nullptr;
    char *memory = nullptr;
    uint64_t offset = 0;
  };
  using TensorRef = std::shared_ptr<const Tensor>;

  /// Keeps a copy of a tensor, whose `bytes` are set. Error: the file can't be
  /// made or written, with the system's reason, among them a full disk.
  llvm::Expected<TensorRef> add(const nibble_tensor &tensor);

  /// The bytes of a tensor, aligned to 64: where they are kept, or read into
  /// `buffer`, which must be kept as long as they are used.
  llvm::Expected<llvm::ArrayRef<char>> read(const Tensor &tensor,
                                            std::vector<char> &buffer);

  uint64_t getMemoryBytes() const { return memoryBytes; }
  uint64_t getFileBytes() const { return fileBytes; }

private:
  char *allocate(uint64_t bytes);
  uint64_t allocateInFile(uint64_t bytes);
  llvm::Error openFile();
  llvm::Error write(uint64_t offset, llvm::ArrayRef<char> data);
  void release(Tensor &tensor);
  void dropFreeMemory();

  uint64_t limit;
  std::string folder;
  /// As it was made; it has no name while it is used.
  std::string fileName;
  /// In use or free; `freeMemory` holds pieces by size, which states of the
  /// next place use again: new pages cost more than the copy into them.
  uint64_t memoryBytes = 0;
  std::multimap<uint64_t, char *> freeMemory;
  int file = -1;
  /// Length of the file, and the parts of it that are free: offset to size.
  uint64_t fileBytes = 0;
  std::map<uint64_t, uint64_t> freeParts;
};

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_STATESTORE_H
