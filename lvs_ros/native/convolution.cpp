// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Convolutions that are computed as they are written down: any size of the kernel and any stride.
// In channels-last order, what a row of the kernel sees is one run of values.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "panel.h"

namespace {

using lvs::divide;
using lvs::kLanes;
using lvs::kPanel;
using lvs::kRows;

struct Shape {
  int height, width, channels_in, channels_out, kernel, stride, padding;

  int rows() const { return (height + 2 * padding - kernel) / stride + 1; }
  int columns() const { return (width + 2 * padding - kernel) / stride + 1; }
  int groups() const { return divide(columns(), kRows); }    // of pixels in a row
  int run() const { return kernel * channels_in; }           // what a row of the kernel sees
  // Values of a line that the pixels of all groups see, those beyond the last column, too.
  int64_t line() const {
    return (int64_t(groups() * kRows - 1) * stride + kernel) * channels_in;
  }
};

// The lines of the image that a row of the result sees, with zeros around the image.
void pack(const float* x, const Shape& shape, int row, float* lines) {
  const int64_t inside = int64_t(shape.width) * shape.channels_in;
  const int64_t before = int64_t(shape.padding) * shape.channels_in;
  const int64_t count = std::min(inside, shape.line() - before);
  for (int k = 0; k < shape.kernel; ++k) {
    const int i = row * shape.stride + k - shape.padding;
    float* line = lines + k * shape.line();
    if (i < 0 || i >= shape.height) {
      std::fill_n(line, shape.line(), 0.0f);
      continue;
    }
    std::fill_n(line, before, 0.0f);
    std::memcpy(line + before, x + i * inside, count * sizeof(float));
    std::fill(line + before + count, line + shape.line(), 0.0f);
  }
}

// Finishes the sums of a group's pixels and a panel's channels, as many as there are.
void write(const lvs::Sums& sums, const Shape& shape, const lvs::Finish& finish, int64_t first,
           int pixels, int channel, float* y) {
  float all[kRows][kPanel];
  std::memcpy(all, &sums, sizeof all);
  for (int r = 0; r < pixels; ++r) {
    const int64_t at = first + int64_t(r) * shape.channels_out + channel;
    const int channels = std::min(kPanel, shape.channels_out - channel);
    int c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      const lvs::Lanes sum = lvs::load<lvs::Lanes>(all[r] + c);
      lvs::store(y + at + c, finish.apply(sum, at + c, channel + c));
    }
    for (; c < channels; ++c) y[at + c] = finish.apply(all[r][c], at + c, channel + c);
  }
}

// A row of the result.
void compute_row(const float* lines, const Shape& shape, const float* weights,
                 const lvs::Finish& finish, int row, float* y) {
  const int run = shape.run(), columns = shape.columns();
  const int64_t pitch = int64_t(shape.stride) * shape.channels_in, line = shape.line();
  const int64_t panel_size = int64_t(shape.kernel) * run * kPanel;
  for (int channel = 0; channel < shape.channels_out; channel += kPanel) {
    const float* panel = weights + channel / kPanel * panel_size;
    for (int pixel = 0; pixel < columns; pixel += kRows) {
      lvs::Sums sums;
      for (int k = 0; k < shape.kernel; ++k) {
        lvs::multiply(lines + k * line + pixel * pitch, pitch, run,
                      panel + int64_t(k) * run * kPanel, sums);
      }
      write(sums, shape, finish, (int64_t(row) * columns + pixel) * shape.channels_out,
            std::min(kRows, columns - pixel), channel, y);
    }
  }
}

thread_local std::vector<float> scratch;

}  // namespace

extern "C" {

// Output channels that are worked on at once: the weights come in panels of so many.
int lvs_panel() { return kPanel; }

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
    const size_t size = size_t(kernel) * shape.line();
    if (scratch.size() < size) scratch.resize(size);
    pack(x, shape, row, scratch.data());
    compute_row(scratch.data(), shape, weights, finish, row, y);
  }
}

}  // extern "C"
