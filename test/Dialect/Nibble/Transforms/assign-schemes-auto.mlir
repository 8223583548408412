// RUN: nibble-opt %s --nibble-assign-schemes="scheme=auto symmetric=false" | FileCheck %s
// RUN: nibble-opt %s --nibble-assign-schemes="scheme=auto method=gptq" | FileCheck %s --check-prefix=GPTQ
// RUN: nibble-opt %s --nibble-assign-schemes="scheme=auto group-size=16 candidates='W3A16,W4A16:8,Q4_0'" | FileCheck %s --check-prefix=LIST
// RUN: not nibble-opt %s --nibble-assign-schemes="scheme=auto method=gptq candidates=W4A16,NF4" 2>&1 | FileCheck %s --check-prefix=METHOD
// RUN: not nibble-opt %s --nibble-assign-schemes="scheme=auto candidates=W8A8" 2>&1 | FileCheck %s --check-prefix=ACTIVATIONS

// A layer gets all schemes that its method takes, with groups that fit its rows.
// CHECK: candidates = [{scale_rule = "absmax", scheme = #nibble.scheme<int2, group = -1, scale = f16, zero = integer, packing = rows>}, {{.*}}<int3, {{.*}}<int4, {{.*}}<int5, {{.*}}<int6, {{.*}}<int8, group = -1
// GPTQ: candidates = [{{.*}}<int2, {{.*}}<int3, {{.*}}<int4, {{.*}}<int8
// GPTQ-NOT: int5
// GPTQ: return
// LIST: candidates = [{{.*}}<int3, group = 16, {{.*}}<int4, group = 8, {{.*}}scale_rule = "ggml"{{.*}}<int4, group = 32
// METHOD: error: layer "fc": candidate NF4 does not go with method gptq:
// ACTIVATIONS: error: candidates: 'W8A8' is not to be chosen from

func.func @f(%x: tensor<?x32xf32>) -> tensor<?x8xf32> {
  %w = nibble.constant dense<0.5> : tensor<32x8xf32>
  %0 = nibble.matmul %x weight(%w) {n = 8 : i64, k = 32 : i64, layers = ["fc"]} : (tensor<?x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
