// RUN: nibble-opt %s --onnx-infer-shapes --onnx-lower-sequences --canonicalize --split-input-file | FileCheck %s

// A sequence of known tensors leaves no trace.
// CHECK-LABEL: func.func @known
// CHECK-SAME: %[[A:.*]]: tensor<2xf32>, %[[B:.*]]: tensor<3xf32>
// CHECK-NEXT: %[[Y:.*]] = onnx.Concat(%[[B]], %[[A]]) {axis = 0 : i64} : {{.*}} -> tensor<5xf32>
// CHECK-NEXT: return %[[Y]], %[[B]]
func.func @known(%a: tensor<2xf32>, %b: tensor<3xf32>) -> (tensor<5xf32>, tensor<?xf32>) {
  %first = onnx.Constant {value = dense<0> : tensor<i64>} : tensor<i64>
  %0 = onnx.SequenceConstruct(%a) : (tensor<2xf32>) -> tensor<*x!onnx.unknown>
  %1 = onnx.SequenceInsert(%0, %b, %first) : (tensor<*x!onnx.unknown>, tensor<3xf32>, tensor<i64>) -> tensor<*x!onnx.unknown>
  %2 = onnx.ConcatFromSequence(%1) {axis = 0 : i64} : (tensor<*x!onnx.unknown>) -> tensor<5xf32>
  %3 = onnx.SequenceAt(%1, %first) : (tensor<*x!onnx.unknown>, tensor<i64>) -> tensor<?xf32>
  return %2, %3 : tensor<5xf32>, tensor<?xf32>
}

// -----

// In the interface it is its elements and a row of sizes for each tensor.
// CHECK-LABEL: func.func @interface
// CHECK-SAME: %[[DATA:.*]]: tensor<?xf32> {onnx.name = "s"}
// CHECK-SAME: %[[SHAPES:.*]]: tensor<?x2xi64> {onnx.name = "s.shapes"}
// CHECK-SAME: -> (tensor<?x3xf32> {onnx.name = "y"})
// CHECK: %[[ROW:.*]] = onnx.Gather(%[[SHAPES]], %{{.*}}) {{.*}} -> tensor<2xi64>
// CHECK: %[[SLICE:.*]] = onnx.Slice(%[[DATA]]
// CHECK: onnx.Reshape(%[[SLICE]], %[[ROW]]) {allowzero = 1 : i64}
func.func @interface(%s: !onnx.seq<tensor<?x3xf32>> {onnx.name = "s"}, %i: tensor<i64>) -> (tensor<?x3xf32> {onnx.name = "y"}) {
  %0 = onnx.SequenceAt(%s, %i) : (!onnx.seq<tensor<?x3xf32>>, tensor<i64>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// -----

// A loop carries both parts; the empty sequence that it begins with has the rank
// of what it gets.
// CHECK-LABEL: func.func @filled
// CHECK: %[[NONE:.*]] = onnx.Constant {value = dense<> : tensor<0x1xi64>}
// CHECK: onnx.Loop(%{{.*}}, %{{.*}}, %{{.*}}, %[[NONE]]) {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i64>, %{{.*}}: tensor<i1>, %{{.*}}: tensor<?xf32>, %{{.*}}: tensor<?x1xi64>)
// CHECK: return {{.*}} : tensor<?xf32>, tensor<?x1xi64>
func.func @filled(%n: tensor<i64>, %x: tensor<4xf32>) -> (!onnx.seq<tensor<4xf32>> {onnx.name = "s"}) {
  %none = onnx.NoValue : none
  %0 = onnx.SequenceEmpty() : () -> tensor<*x!onnx.unknown>
  %1 = onnx.Loop(%n, %none, %0) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %s: tensor<*x!onnx.unknown>):
    %2 = onnx.SequenceInsert(%s, %x, %none) : (tensor<*x!onnx.unknown>, tensor<4xf32>, none) -> tensor<*x!onnx.unknown>
    onnx.Yield(%c, %2) : tensor<i1>, tensor<*x!onnx.unknown>
  } : (tensor<i64>, none, tensor<*x!onnx.unknown>) -> !onnx.seq<tensor<4xf32>>
  return %1 : !onnx.seq<tensor<4xf32>>
}

// -----

// An optional sequence has a flag; an optional tensor is a sequence of at most
// one.
// CHECK-LABEL: func.func @optional
// CHECK-SAME: %{{.*}}: tensor<?xi64> {onnx.name = "o"}, %{{.*}}: tensor<?x1xi64> {onnx.name = "o.shapes"}, %[[FLAG:.*]]: tensor<i1> {onnx.name = "o.present"}
// CHECK-SAME: %{{.*}}: tensor<?xf32> {onnx.name = "t"}, %[[SIZES:.*]]: tensor<?x0xi64> {onnx.name = "t.shapes"}
// CHECK: %[[SHAPE:.*]] = onnx.Shape(%[[SIZES]])
// CHECK: %[[LENGTH:.*]] = onnx.Gather(%[[SHAPE]]
// CHECK: %[[SOME:.*]] = onnx.Greater(%[[LENGTH]]
// CHECK: return %[[FLAG]], %[[SOME]]
func.func @optional(%o: !onnx.optional<!onnx.seq<tensor<?xi64>>> {onnx.name = "o"}, %t: !onnx.optional<tensor<f32>> {onnx.name = "t"}) -> (tensor<i1>, tensor<i1>) {
  %0 = onnx.OptionalHasElement(%o) : (!onnx.optional<!onnx.seq<tensor<?xi64>>>) -> tensor<i1>
  %1 = onnx.OptionalHasElement(%t) : (!onnx.optional<tensor<f32>>) -> tensor<i1>
  return %0, %1 : tensor<i1>, tensor<i1>
}
