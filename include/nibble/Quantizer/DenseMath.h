//===- DenseMath.h - Products and factors of matrices -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What second-order methods spend their time in. Work is cut in pieces that do
// not depend on the number of threads, and each element is summed in one order:
// results are the same for any number of threads. AVX-512 and AVX2 with FMA
// give the same bits too; the base x86-64, which rounds products, does not, and
// neither does AMX, in which outer products are summed.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_DENSEMATH_H
#define NIBBLE_QUANTIZER_DENSEMATH_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace nibble::quantizer {

/// A matrix in memory; strides in elements.
template <typename T>
struct MatrixRef {
  T *data = nullptr;
  int64_t rows = 0, cols = 0;
  int64_t rowStride = 0, colStride = 1;

  MatrixRef(T *data, int64_t rows, int64_t cols, int64_t rowStride,
            int64_t colStride = 1)
      : data(data), rows(rows), cols(cols), rowStride(rowStride),
        colStride(colStride) {}
  T &at(int64_t row, int64_t col) const {
    return data[row * rowStride + col * colStride];
  }
  MatrixRef block(int64_t row, int64_t col, int64_t numRows,
                  int64_t numCols) const {
    return {&at(row, col), numRows, numCols, rowStride, colStride};
  }
  MatrixRef transposed() const {
    return {data, cols, rows, colStride, rowStride};
  }
  operator MatrixRef<const T>() const {
    return {data, rows, cols, rowStride, colStride};
  }
};

/// c += a b, or c -= a b. The columns of c and b are contiguous (stride 1).
/// With `upperOnly`, tiles that lie below the diagonal of c stay as they are.
void addProduct(MatrixRef<const float> a, MatrixRef<const float> b,
                MatrixRef<float> c, bool upperOnly = false,
                unsigned threads = 0);
void subtractProduct(MatrixRef<const double> a, MatrixRef<const double> b,
                     MatrixRef<double> c, bool upperOnly = false,
                     unsigned threads = 0);

/// Adds x x^T of each row x of `rows` [n, K] to the upper triangle of `hessian`
/// [K, K]; below the diagonal it is undefined until `mirrorUpper`. Where the
/// processor has AMX, x_i x_j is rounded to 16 bits or more, as the product of
/// sums of two bf16 numbers is: an element is within 2^-16 of the root of the
/// elements on the diagonal in its row and column. Else it is as `addProduct`.
void addOuterProducts(MatrixRef<const float> rows,
                      llvm::MutableArrayRef<float> hessian,
                      unsigned threads = 0);

/// Copies what is above the diagonal of a [size, size] matrix below it.
void mirrorUpper(llvm::MutableArrayRef<float> matrix, int64_t size,
                 unsigned threads = 0);

/// Replaces the upper triangle of the symmetric `matrix` [size, size] by the
/// upper triangular m with matrix = m^T m; does not read or write what is below
/// the diagonal. False if it is not positive definite; it is undefined then.
bool factorCholesky(llvm::MutableArrayRef<double> matrix, int64_t size,
                    unsigned threads = 0);

/// Replaces an upper triangular matrix [size, size] with a positive diagonal by
/// its inverse, which is upper triangular too.
void invertUpper(llvm::MutableArrayRef<double> matrix, int64_t size,
                 unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_DENSEMATH_H
