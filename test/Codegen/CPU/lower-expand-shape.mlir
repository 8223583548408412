// RUN: nibble-opt %s -nibble-lower-expand-shape | FileCheck %s
// RUN: nibble-opt %s -nibble-lower-expand-shape -expand-strided-metadata | FileCheck %s --check-prefix=ALL

// A dimension that becomes two of unknown size: both are operands, and the
// outer steps over the inner ones.

// CHECK-LABEL: func.func @two_unknown
// CHECK-SAME:    (%[[SRC:.*]]: memref<?x?xf32>, %[[X:.*]]: index, %[[Y:.*]]: index, %[[Z:.*]]: index)
// CHECK:         %[[BASE:.*]], %{{.*}}, %{{.*}}:2, %[[STRIDES:.*]]:2 = memref.extract_strided_metadata %[[SRC]]
// CHECK:         %[[INNER:.*]] = arith.muli %[[STRIDES]]#0, %[[Y]]
// CHECK:         %[[TWO:.*]] = arith.constant 2
// CHECK:         %[[MIDDLE:.*]] = arith.muli %[[INNER]], %[[TWO]]
// CHECK:         %[[THREE:.*]] = arith.constant 3
// CHECK:         %[[OUTER:.*]] = arith.muli %[[MIDDLE]], %[[THREE]]
// CHECK:         memref.reinterpret_cast %[[BASE]] to offset: [0]
// CHECK-SAME:      sizes: [%[[X]], 3, 2, %[[Y]], %[[Z]]]
// CHECK-SAME:      strides: [%[[OUTER]], %[[MIDDLE]], %[[INNER]], %[[STRIDES]]#0, 1]
// ALL-LABEL: func.func @two_unknown
// ALL-NOT:     memref.expand_shape
func.func @two_unknown(%src: memref<?x?xf32>, %x: index, %y: index, %z: index) -> memref<?x3x2x?x?xf32> {
  %0 = memref.expand_shape %src [[0, 1, 2, 3], [4]] output_shape [%x, 3, 2, %y, %z]
    : memref<?x?xf32> into memref<?x3x2x?x?xf32>
  return %0 : memref<?x3x2x?x?xf32>
}

// With one unknown size upstream's lowering is right and stays in charge.

// CHECK-LABEL: func.func @one_unknown
// CHECK:         memref.expand_shape
func.func @one_unknown(%src: memref<?xf32>, %x: index) -> memref<?x4xf32> {
  %0 = memref.expand_shape %src [[0, 1]] output_shape [%x, 4] : memref<?xf32> into memref<?x4xf32>
  return %0 : memref<?x4xf32>
}
