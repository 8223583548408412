// RUN: nibble-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{expected 2 to 8 bits, got 9}}
#s = #nibble.scheme<int9, group = 32, scale = f16>

// -----

// expected-error @+1 {{unknown codebook 'float4': expected int2 to int8, nf4, fp4, fp8_e4m3, fp8_e5m2 or table<[...]>}}
#s = #nibble.scheme<float4, group = 32, scale = f16>

// -----

// expected-error @+1 {{expected group -1 (one per row), 0 (one per tensor) or more, got -2}}
#s = #nibble.scheme<int4, group = -2, scale = f16>

// -----

// expected-error @+1 {{expected scales of type f32, f16 or bf16, got 'i8'}}
#s = #nibble.scheme<int4, group = 32, scale = i8>

// -----

// expected-error @+1 {{unknown kind of zero 'signed'}}
#s = #nibble.scheme<int4, group = 32, scale = f16, zero = signed>

// -----

// expected-error @+1 {{unknown part 'block' of a scheme: expected group, scale, second, zero, group_index, outliers or packing}}
#s = #nibble.scheme<int4, block = 32>

// -----

// expected-error @+1 {{expected a table of 2 to 256 values, got 1}}
#s = #nibble.scheme<table<[1.0]>, group = 32, scale = f16>

// -----

// expected-error @+1 {{expected a second level of f32, f16 or bf16 for at least one scale, got 'f32' x 0}}
#s = #nibble.scheme<nf4, group = 64, second = dynamic f32 x 0>

// -----

// expected-error @+1 {{expected a group of 1 or more with group_index, got -1}}
#s = #nibble.scheme<int4, group = -1, scale = f16, group_index>

// -----

// expected-error @+1 {{expected 16 bytes for 'tensor<2x2xf32>', got 12}}
#m = #nibble.mapped<"model.onnx", 0, 12, 0x0> : tensor<2x2xf32>
