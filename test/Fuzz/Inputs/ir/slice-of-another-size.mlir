func.func @reordered(%x: tensor<5x1x1xf32>, %r: tensor<1x4x4xf32>) -> tensor<1x1x4xf32> {
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<[[1.0], [2.0], [3.0], [4.0]]> : tensor<4x1xf32>} : tensor<4x1xf32>
  %zero = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %two = onnx.Constant {value = dense<4> : tensor<1xi64>} : tensor<1xi64>
  %end = onnx.Constant {value = dense<100> : tensor<1xi64>} : tensor<1xi64>
  %a = onnx.Slice(%w, %zero, %two, %none, %none) : (tensor<4x1xf32>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<2x1xf32>
  %b = onnx.Slice(%w, %two, %end, %zero, %none) : (tensor<4x1xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<2x1xf32>
  %c = onnx.Concat(%b, %a) {axis = 0 : i64} : (tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<4x1xf32>
  %d = onnx.Unsqueeze(%c, %zero) : (tensor<4x1xf32>, tensor<1xi64>) -> tensor<1x4x1xf32>
  %y, %h = onnx.RNN(%x, %d, %r, %none, %none, %none) {hidden_size = 4 : i64} : (tensor<5x1x1xf32>, tensor<1x4x1xf32>, tensor<1x4x4xf32>, none, none, none) -> (none, tensor<1x1x4xf32>)
  return %h : tensor<1x1x4xf32>
}
