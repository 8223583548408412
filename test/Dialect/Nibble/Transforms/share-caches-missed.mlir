// RUN: nibble-opt %s --nibble-share-caches --split-input-file -verify-diagnostics | FileCheck %s

// CHECK-NOT: nibble.cache
!cache = tensor<1x2x?x8xf32>

func.func @no_output(%past: !cache, %k: !cache) -> index {
  // expected-remark @+1 {{each run copies the past: what it makes is no output of the model}}
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (!cache, !cache) -> !cache
  %c2 = arith.constant 2 : index
  %n = tensor.dim %0, %c2 : !cache
  return %n : index
}

// -----

!cache = tensor<1x2x?x8xf32>

func.func @two_outputs(%past: !cache, %k: !cache) -> (!cache, !cache) {
  // expected-remark @+1 {{what it makes is more than one output}}
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (!cache, !cache) -> !cache
  return %0, %0 : !cache, !cache
}

// -----

!cache = tensor<1x2x?x8xf32>

func.func @other_use(%past: !cache {onnx.name = "past.0"}, %k: !cache) -> (!cache, !cache) {
  // expected-remark @+1 {{input 'past.0' is also read by 'math.exp'}}
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (!cache, !cache) -> !cache
  %1 = math.exp %past : !cache
  return %0, %1 : !cache, !cache
}

// -----

!cache = tensor<1x2x?x8xf32>

func.func @computed(%past: !cache, %k: !cache) -> !cache {
  %0 = math.exp %past : !cache
  // expected-remark @+1 {{the past is no input of the model, but computed}}
  %1 = nibble.append_cache %0, %k {axis = 2 : i64} : (!cache, !cache) -> !cache
  return %1 : !cache
}

// -----

func.func @fixed(%past: tensor<1x2x4x8xf32>, %k: tensor<1x2x1x8xf32>) -> tensor<1x2x5x8xf32> {
  // expected-remark @+1 {{the number of positions of input number 0 is fixed}}
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (tensor<1x2x4x8xf32>, tensor<1x2x1x8xf32>) -> tensor<1x2x5x8xf32>
  return %0 : tensor<1x2x5x8xf32>
}
