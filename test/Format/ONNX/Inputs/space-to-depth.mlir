module attributes {onnx.opset_version = 28 : i64} {
  func.func @main_graph(%x: tensor<1x1x4x4xf32>) -> tensor<1x4x2x2xf32> {
    %0 = onnx.SpaceToDepth(%x) {blocksize = 2 : i64, mode = "MODE"}
       : (tensor<1x1x4x4xf32>) -> tensor<1x4x2x2xf32>
    return %0 : tensor<1x4x2x2xf32>
  }
}
