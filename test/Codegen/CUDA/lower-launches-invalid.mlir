// RUN: nibble-opt %s --split-input-file --verify-diagnostics --nibble-lower-launches

module attributes {gpu.container_module} {
gpu.module @nibble_kernels {
  // expected-error@+1 {{expected a character for each of its 2 arguments in 'nibble.access'}}
  gpu.func @k(%x: memref<?xf32>, %n: index) kernel attributes {nibble.access = "r"} {
    gpu.return
  }
}
}

// -----

module attributes {gpu.container_module} {
gpu.module @nibble_kernels {
  // expected-error@+1 {{expected one of r, w, b for a buffer and - for a number in 'nibble.access', got "rr"}}
  gpu.func @k(%x: memref<?xf32>, %n: index) kernel attributes {nibble.access = "rr"} {
    gpu.return
  }
}
}
