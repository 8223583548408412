// RUN: nibble-opt %s -verify-diagnostics -split-input-file

// Attributes that contradict operands or each other.

func.func @gates(%q: tensor<1x3x8xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{update_rule 'gated' needs the operand decay}}
  %0:2 = onnx.LinearAttention(%q, %q, %q, %none, %none, %none) {kv_num_heads = 2 : i64, q_num_heads = 2 : i64, update_rule = "gated"} : (tensor<1x3x8xf32>, tensor<1x3x8xf32>, tensor<1x3x8xf32>, none, none, none) -> (tensor<*xf32>, none)
  return
}

// -----

func.func @heads(%q: tensor<1x3x8xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{q_num_heads is 3, expected a multiple of kv_num_heads, 2}}
  %0:2 = onnx.LinearAttention(%q, %q, %q, %none, %none, %none) {kv_num_heads = 2 : i64, q_num_heads = 3 : i64, update_rule = "linear"} : (tensor<1x3x8xf32>, tensor<1x3x8xf32>, tensor<1x3x8xf32>, none, none, none) -> (tensor<*xf32>, none)
  return
}

// -----

func.func @reduction(%x: tensor<3x5xf32>, %t: tensor<3xi64>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{reduction is 'median', expected one of none, sum, mean}}
  %0 = onnx.NegativeLogLikelihoodLoss(%x, %t, %none) {reduction = "median"} : (tensor<3x5xf32>, tensor<3xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @grams(%x: tensor<12xi64>) {
  // expected-error@+1 {{ngram_indexes has 2 elements, expected 3}}
  %0 = onnx.TfIdfVectorizer(%x) {max_gram_length = 1 : i64, max_skip_count = 0 : i64, min_gram_length = 1 : i64, mode = "TF", ngram_counts = array<i64: 0>, ngram_indexes = array<i64: 0, 1>, pool_int64s = array<i64: 5, 6, 7>} : (tensor<12xi64>) -> tensor<*xf32>
  return
}
