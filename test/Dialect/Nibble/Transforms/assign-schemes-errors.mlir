// RUN: not nibble-opt %s --nibble-assign-schemes="scheme=W5A5" 2>&1 | FileCheck %s --check-prefix=SCHEME
// RUN: not nibble-opt %s --nibble-assign-schemes="scheme=W4A16 scale-type=f8" 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not nibble-opt %s --nibble-assign-schemes="scheme=W4A16 scale-rule=best" 2>&1 | FileCheck %s --check-prefix=RULE
// RUN: not nibble-opt %s --nibble-assign-schemes="config=/nowhere/rules.yaml" 2>&1 | FileCheck %s --check-prefix=FILE

// SCHEME: error: {{.*}}W5A5
// TYPE: error: unknown scale type 'f8': expected f16, bf16 or f32
// RULE: error: unknown scale rule 'best': expected absmax, mse, signed-max or full-range
// FILE: error: {{.*}}/nowhere/rules.yaml
func.func @f() { return }
