// Adds 1 to y at the places that the input names; all threads of a team check
// their own.
module attributes {nibble.phase = "linalg"} {
  func.func @main_graph(%places: tensor<?xi64> {onnx.name = "places"})
      -> (tensor<8xf32> {onnx.name = "y"}) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %one = arith.constant 1.0 : f32
    %n = tensor.dim %places, %c0 : tensor<?xi64>
    %y = memref.alloc() : memref<8xf32>
    linalg.fill ins(%one : f32) outs(%y : memref<8xf32>)
    %from = bufferization.to_buffer %places read_only : tensor<?xi64> to memref<?xi64>
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      %place = memref.load %from[%i] : memref<?xi64>
      %at = arith.index_cast %place : i64 to index
      %inside = arith.cmpi ult, %at, %c8 : index
      cf.assert %inside, "layer 'put': a place is out of range"
      %old = memref.load %y[%at] : memref<8xf32>
      %new = arith.addf %old, %one : f32
      memref.store %new, %y[%at] : memref<8xf32>
    }
    %result = bufferization.to_tensor %y restrict : memref<8xf32> to tensor<8xf32>
    return %result : tensor<8xf32>
  }
}
