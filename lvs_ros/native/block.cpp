// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// A residual block of two 3x3 convolutions in one pass: what lies between them never goes through
// memory. With the tiles of AMX only; elsewhere Winograd's convolutions are faster.
#ifdef __AMX_BF16__
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "rows.h"
#include "tiles.h"

namespace {

using lvs::BFloat16;
using lvs::Shape;

constexpr int kKernel = 3;

// Of a thread: lines of the image and of what lies between, as many as the kernel sees; a row of
// the latter before it is rounded.
struct Scratch {
  std::vector<uint16_t> image, between;
  std::vector<float> row;
};

thread_local Scratch scratch;

// The rows from first to last - 1 of the result.
void compute(const float* x, const uint16_t* weights1, const float* bias1,
             const uint16_t* weights2, const float* bias2, const Shape& shape, int first, int last,
             float* y) {
  const int64_t size = BFloat16::line(shape), row_size = int64_t(shape.width) * shape.channels_in;
  uint16_t* image = lvs::room(scratch.image, kKernel * size);
  uint16_t* between = lvs::room(scratch.between, kKernel * size);
  float* row = lvs::room(scratch.row, row_size);
  // Line i (from -2 on) of either lies at i modulo 3.
  const auto image_at = [&](int i) { return image + (i + kKernel) % kKernel * size; };
  const auto between_at = [&](int i) { return between + (i + kKernel) % kKernel * size; };
  const auto read = [&](int i) {
    lvs::read_line(shape, i, size, [&](int64_t count, uint16_t* to) {
      BFloat16::convert(x + i * row_size, count, to);
    }, image_at(i));
  };
  read(first - 2);
  read(first - 1);
  for (int i = first - 1; i <= last; ++i) {
    read(i + 1);
    if (i >= 0 && i < shape.height) {
      BFloat16::compute_row([&](int k) { return image_at(i - 1 + k); }, shape, weights1,
                            {bias1, nullptr, true}, 0, row);
    }
    lvs::read_line(shape, i, size, [&](int64_t count, uint16_t* to) {
      BFloat16::convert(row, count, to);
    }, between_at(i));
    if (i > first) {
      BFloat16::compute_row([&](int k) { return between_at(i - 2 + k); }, shape, weights2,
                            {bias2, x, true}, (i - 1) * row_size, y);
    }
  }
}

}  // namespace

// The rows from first to last - 1 of relu(convolution2(relu(convolution1(x))) + x).
//
// x and y: (height, width, channels); weights as BFloat16::compute_row wants them, bias:
// (channels).
extern "C" void lvs_tile_block(const float* x, const uint16_t* weights1, const float* bias1,
                               const uint16_t* weights2, const float* bias2, float* y, int height,
                               int width, int channels, int first, int last, int threads) {
  const Shape shape{height, width, channels, channels, kKernel, 1, 1, 1};
  // Each part computes two rows of what lies between that its neighbours compute as well.
  const int part = std::max(1, lvs::divide(last - first, 4 * threads));
#pragma omp parallel num_threads(threads)
  {
    const BFloat16::Unit unit{};
#pragma omp for schedule(dynamic)
    for (int begin = first; begin < last; begin += part) {
      compute(x, weights1, bias1, weights2, bias2, shape, begin, std::min(last, begin + part), y);
    }
  }
}
#endif  // __AMX_BF16__
