// RUN: nibble-opt %s --nibble-approximate-math | FileCheck %s

// CHECK-LABEL: func.func @f
func.func @f(%x: vector<16xf32>, %y: f32) -> (vector<16xf32>, vector<16xf32>, f32) {
  // CHECK-NOT: math.exp
  // CHECK-NOT: math.tanh
  // CHECK: math.fma
  %0 = math.exp %x : vector<16xf32>
  %1 = math.tanh %y : f32
  // Not exact enough as a polynomial of upstream: a call.
  // CHECK: math.sin
  %2 = math.sin %x : vector<16xf32>
  return %0, %2, %1 : vector<16xf32>, vector<16xf32>, f32
}
