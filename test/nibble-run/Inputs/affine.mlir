// y = 2 * x + w over rows of three; ids chooses nothing, but must be given.
module attributes {nibble.phase = "linalg"} {
func.func @main_graph(
    %x: tensor<?x3xf32> {onnx.name = "x", onnx.dim_names = ["batch", ""]},
    %ids: tensor<?xi64> {onnx.name = "ids", onnx.dim_names = ["batch"]})
    -> (tensor<?x3xf32> {onnx.name = "y", onnx.dim_names = ["batch", ""]},
        tensor<?xi64> {onnx.name = "out/ids", onnx.dim_names = ["batch"]}) {
  %w = nibble.constant dense<[10.0, 20.0, 30.0]> : tensor<3xf32>
  %two = arith.constant 2.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x3xf32>
  %e = tensor.empty(%n) : tensor<?x3xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>,
                       affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %w : tensor<?x3xf32>, tensor<3xf32>)
      outs(%e : tensor<?x3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %two : f32
    %s = arith.addf %p, %b : f32
    linalg.yield %s : f32
  } -> tensor<?x3xf32> loc("scale")
  return %y, %ids : tensor<?x3xf32>, tensor<?xi64>
}
}
