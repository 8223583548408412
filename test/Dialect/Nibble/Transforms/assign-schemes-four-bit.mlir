// RUN: split-file %s %t
// RUN: nibble-opt %t/model.mlir -nibble-assign-schemes='scheme=W4A16 config=%t/rules.yaml' | FileCheck %s
// RUN: not nibble-opt %t/model.mlir -nibble-assign-schemes='scheme=NF4 group-size=48' 2>&1 | FileCheck %s --check-prefix=BLOCK
// RUN: not nibble-opt %t/model.mlir -nibble-assign-schemes='scheme=FP4 symmetric=false' 2>&1 | FileCheck %s --check-prefix=ZEROS

// What nobody gave is what users of the scheme know: blocks of 64 and float32
// for NF4. A rule may ask for double quantization in either spelling.

// CHECK-LABEL: func.func @layers
// CHECK: layers = ["plain"]{{.*}} scheme = #nibble.scheme<int4, group = 128, scale = f16, packing = rows>
// CHECK: layers = ["nf4"]{{.*}} scheme = #nibble.scheme<nf4, group = 64, scale = f32, packing = rows>
// CHECK: layers = ["fp4"]{{.*}} scheme = #nibble.scheme<fp4, group = 256, scale = f32, second = dynamic f32 x 256 offset, packing = rows>
// CHECK: layers = ["twice"]{{.*}} scheme = #nibble.scheme<int4, group = 128, scale = f32, second = dynamic f32 x 256 offset, packing = rows>

// BLOCK: error: layer "plain": blocks of 48 weights: expected 32, 64, 128, 256, 512, 1024, 2048 or 4096 with nf4
// BLOCK-NOT: error
// ZEROS: error: layer "plain": fp4 has codes of 4 bits and no zero points

//--- rules.yaml
version: 1
rules:
  - layers: nf4
    scheme: NF4
  - layers: fp4
    scheme: FP4
    group-size: 256
    double-quant: true
  - layers: twice
    double_quant: true
//--- model.mlir
func.func @layers(%x: tensor<?x512xf32>) -> tensor<?x512xf32> {
  %w = nibble.constant dense<0.5> : tensor<512x512xf32>
  %0 = nibble.matmul %x weight(%w) {n = 512 : i64, k = 512 : i64, layers = ["plain"]} : (tensor<?x512xf32>, tensor<512x512xf32>) -> tensor<?x512xf32>
  %1 = nibble.matmul %0 weight(%w) {n = 512 : i64, k = 512 : i64, layers = ["nf4"]} : (tensor<?x512xf32>, tensor<512x512xf32>) -> tensor<?x512xf32>
  %2 = nibble.matmul %1 weight(%w) {n = 512 : i64, k = 512 : i64, layers = ["fp4"]} : (tensor<?x512xf32>, tensor<512x512xf32>) -> tensor<?x512xf32>
  %3 = nibble.matmul %2 weight(%w) {n = 512 : i64, k = 512 : i64, layers = ["twice"]} : (tensor<?x512xf32>, tensor<512x512xf32>) -> tensor<?x512xf32>
  return %3 : tensor<?x512xf32>
}
