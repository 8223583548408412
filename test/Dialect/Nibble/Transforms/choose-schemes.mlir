// RUN: nibble-opt %s --nibble-choose-schemes="budget=4bpw write-config=%t.yaml" 2> %t.messages | FileCheck %s
// RUN: FileCheck %s --check-prefix=MESSAGE < %t.messages
// RUN: FileCheck %s --check-prefix=CONFIG < %t.yaml
// RUN: nibble-opt %s --nibble-choose-schemes="budget=3.4bpw" 2> /dev/null | FileCheck %s --check-prefix=SMALL
// RUN: nibble-opt %s --nibble-choose-schemes="max-error=1e-9" 2> /dev/null | FileCheck %s --check-prefix=EXACT

// Two bits say all of the first weight, and not of the second. A layer whose
// scheme is known keeps it, and counts.
// CHECK: nibble.matmul {{.*}}layers = ["coarse"], {{.*}}method = "rtn", scale_rule = "absmax", scheme = #nibble.scheme<int2, group = -1{{.*}}>}}
// CHECK: nibble.matmul {{.*}}layers = ["fine"], {{.*}}scheme = #nibble.scheme<int4, group = -1{{.*}}>}}
// CHECK: nibble.matmul {{.*}}layers = ["known"], {{.*}}scheme = #nibble.scheme<int3, group = -1{{.*}}>}}
// CHECK-NOT: candidates
// MESSAGE: remark: chose schemes of 2 weights (W2A16:-1 for 1, W4A16:-1 for 1): 4.000 bits per weight, 24 B with all other weights; errors of weights were compared
// CONFIG: # Chosen for --budget=4bpw
// CONFIG: layers: "coarse"
// CONFIG-NEXT: scheme: W2A16
// CONFIG-NEXT: method: rtn
// CONFIG-NEXT: group-size: -1
// CONFIG: layers: "fine"
// CONFIG-NEXT: scheme: W4A16
// CONFIG: layers: "known"
// CONFIG-NEXT: scheme: W3A16
// SMALL: layers = ["fine"], {{.*}}scheme = #nibble.scheme<int2
// EXACT: layers = ["coarse"], {{.*}}scheme = #nibble.scheme<int2
// EXACT: layers = ["fine"], {{.*}}scheme = #nibble.scheme<int4

#two = {scale_rule = "absmax", scheme = #nibble.scheme<int2, group = -1, scale = f16, packing = rows>}
#four = {scale_rule = "absmax", scheme = #nibble.scheme<int4, group = -1, scale = f16, packing = rows>}
#three = {method = "rtn", scale_rule = "absmax", scheme = #nibble.scheme<int3, group = -1, scale = f16, packing = rows>}
#open = {method = "rtn", candidates = [#two, #four], scale_rule = "absmax", scheme = #nibble.scheme<int2, group = -1, scale = f16, packing = rows>}
func.func @f(%x: tensor<?x16xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>) {
  %coarse = nibble.constant dense<[[1.0], [-1.0], [1.0], [1.0], [-1.0], [1.0], [1.0], [0.0], [1.0], [-1.0], [1.0], [1.0], [-1.0], [1.0], [1.0], [0.0]]> : tensor<16x1xf32>
  %fine = nibble.constant dense<[[7.0], [-6.0], [5.0], [4.0], [-3.0], [2.0], [1.0], [0.0], [7.0], [-6.0], [5.0], [4.0], [-3.0], [2.0], [1.0], [0.0]]> : tensor<16x1xf32>
  %known = nibble.constant dense<0.5> : tensor<16x1xf32>
  %0 = nibble.matmul %x weight(%coarse) {n = 1 : i64, k = 16 : i64, layers = ["coarse"], nibble.request = #open} : (tensor<?x16xf32>, tensor<16x1xf32>) -> tensor<?x1xf32>
  %1 = nibble.matmul %x weight(%fine) {n = 1 : i64, k = 16 : i64, layers = ["fine"], nibble.request = #open} : (tensor<?x16xf32>, tensor<16x1xf32>) -> tensor<?x1xf32>
  %2 = nibble.matmul %x weight(%known) {n = 1 : i64, k = 16 : i64, layers = ["known"], nibble.request = #three} : (tensor<?x16xf32>, tensor<16x1xf32>) -> tensor<?x1xf32>
  return %0, %1, %2 : tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>
}
