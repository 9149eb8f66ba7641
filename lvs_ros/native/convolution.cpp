// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Convolutions that are computed as they are written down: any size of the kernel and any stride.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "rows.h"

namespace {

using lvs::Shape;

// The lines of the image that a row of the result sees.
void pack(const float* x, const Shape& shape, int row, float* lines) {
  for (int k = 0; k < shape.kernel; ++k) {
    const int i = row * shape.stride + k - shape.padding;
    lvs::read_line(shape, i, [&](int64_t count, float* to) {
      std::memcpy(to, x + int64_t(i) * shape.width * shape.channels_in, count * sizeof(float));
    }, lines + k * shape.line());
  }
}

thread_local std::vector<float> scratch;

}  // namespace

extern "C" {

// Output channels that are worked on at once: the weights come in panels of so many.
int lvs_panel() { return lvs::kPanel; }

// The rows from first to last - 1 of the result.
//
// x: (height, width, channels_in), weights: (panels, kernel, kernel, channels_in, panel), bias:
// (channels_out), added: (rows, columns, channels_out) that is added before the ReLU, or null ->
// y: (rows, columns, channels_out). relu: 1 = negative values become 0.
void lvs_convolution(const float* x, const float* weights, const float* bias, const float* added,
                     float* y, int height, int width, int channels_in, int channels_out,
                     int kernel, int stride, int padding, int relu, int first, int last,
                     int threads) {
  const Shape shape{height, width, channels_in, channels_out, kernel, stride, padding};
  const lvs::Finish finish{bias, added, relu != 0};
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int row = first; row < last; ++row) {
    float* lines = lvs::room(scratch, size_t(kernel) * shape.line());
    pack(x, shape, row, lines);
    lvs::compute_row([&](int k) { return lines + k * shape.line(); }, shape, weights,
                     finish, int64_t(row) * shape.columns() * channels_out, y);
  }
}

}  // extern "C"
