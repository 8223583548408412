// Three weights, at the point where schemes are chosen.
module attributes {nibble.phase = "nibble"} {
  func.func @main_graph(%x: tensor<2x4xf32>) -> tensor<2x2xf32> {
    %u = nibble.constant {onnx.name = "up.weight"} dense<[[1.0, -2.0], [3.0, 0.5], [0.25, -1.0], [7.0, 3.5]]> : tensor<4x2xf32>
    %d = nibble.constant {onnx.name = "down.weight"} dense<[[1.0, -2.0], [0.1, 0.7]]> : tensor<2x2xf32>
    %h = nibble.constant {onnx.name = "head.weight"} dense<[[1.0, 0.0], [0.0, 1.0]]> : tensor<2x2xf32>
    %0 = nibble.matmul %x weight(%u) {n = 2 : i64, k = 4 : i64, layers = ["mlp.up"]} : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
    %1 = nibble.matmul %0 weight(%d) {n = 2 : i64, k = 2 : i64, layers = ["mlp.down"]} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    %2 = nibble.matmul %1 weight(%h) {n = 2 : i64, k = 2 : i64, layers = ["head"]} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    return %2 : tensor<2x2xf32>
  }
}
