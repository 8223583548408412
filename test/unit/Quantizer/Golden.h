//===- Golden.h - What other libraries make of our inputs -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_UNIT_QUANTIZER_GOLDEN_H
#define NIBBLE_TEST_UNIT_QUANTIZER_GOLDEN_H

#include "nibble/Quantizer/Scheme.h"
#include "llvm/ADT/bit.h"
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

namespace nibble::quantizer::test {

/// The arrays of a text of `NAME TYPE DIMENSION...` and lines of hexadecimal
/// bit patterns after them, as the scripts/golden_*.py write it.
class Golden {
public:
  struct Array {
    std::string type;
    std::vector<int64_t> shape;
    std::vector<uint32_t> words;
  };

  explicit Golden(const std::string &name) {
    std::ifstream file(NIBBLE_QUANTIZER_INPUTS "/" + name);
    EXPECT_TRUE(file.is_open()) << name;
    for (std::string line; std::getline(file, line);) {
      if (line.empty() || line[0] == '#')
        continue;
      std::istringstream head(line);
      std::string key;
      Array array;
      head >> key >> array.type;
      for (int64_t size; head >> size;)
        array.shape.push_back(size);
      std::getline(file, line);
      std::istringstream words(line);
      for (uint32_t word; words >> std::hex >> word;)
        array.words.push_back(word);
      arrays.emplace(key, std::move(array));
    }
  }

  bool contains(const std::string &name) const {
    return arrays.count(name) != 0;
  }
  const Array &operator[](const std::string &name) const {
    return arrays.at(name);
  }
  std::vector<float> floats(const std::string &name) const {
    std::vector<float> values;
    const Array &array = arrays.at(name);
    for (uint32_t word : array.words)
      values.push_back(array.type == "f16" ? halfToFloat(word)
                                           : llvm::bit_cast<float>(word));
    return values;
  }
  template <typename T>
  std::vector<T> integers(const std::string &name) const {
    std::vector<T> values;
    for (uint32_t word : arrays.at(name).words)
      values.push_back(static_cast<T>(word));
    return values;
  }

private:
  std::map<std::string, Array> arrays;
};

} // namespace nibble::quantizer::test

#endif // NIBBLE_TEST_UNIT_QUANTIZER_GOLDEN_H
