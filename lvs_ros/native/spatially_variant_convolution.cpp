// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Spatially variant convolution: every position has a kernel of its own (section 3.2 of the
// paper; lvs_ros/model/spatially_variant_convolution.py has the equation).
#include <algorithm>
#include <cstdint>

#include "vectors.h"

namespace {

using lvs::kLanes;
using lvs::Lanes;
using lvs::load;
using lvs::store;

// So many channels of one position are summed up in registers.
constexpr int kVectors = 8;
constexpr int kChannels = kVectors * kLanes;
// A block of positions goes down row by row: what it reads then stays in a core's own cache.
constexpr int kRows = 16, kColumns = 32;

struct Shape {
  int height, width, channels, side;
};

// N vectors of channels at (i, j), starting at channel c.
template <int N>
void position(const float* features, const float* kernel, float* result, const Shape& shape, int i,
              int j, int c) {
  const int reach = shape.side / 2;
  // Beyond the border there are zeros: those taps are left out.
  const int first_u = std::max(-reach, i - shape.height + 1), last_u = std::min(reach, i);
  const int first_v = std::max(-reach, j - shape.width + 1), last_v = std::min(reach, j);
  Lanes sum[N];
  LVS_UNROLL
  for (int n = 0; n < N; ++n) sum[n] = Lanes{};
  for (int u = first_u; u <= last_u; ++u) {
    for (int v = first_v; v <= last_v; ++v) {
      const float tap = kernel[(u + reach) * shape.side + v + reach];
      const float* source =
          features + (int64_t(i - u) * shape.width + (j - v)) * shape.channels + c;
      LVS_UNROLL
      for (int n = 0; n < N; ++n) sum[n] += tap * load<Lanes>(source + n * kLanes);
    }
  }
  float* target = result + (int64_t(i) * shape.width + j) * shape.channels + c;
  LVS_UNROLL
  for (int n = 0; n < N; ++n) store(target + n * kLanes, sum[n]);
}

}  // namespace

// features and result: (height, width, channels), kernels: (height, width, side * side); channels
// a multiple of 8.
extern "C" void lvs_spatially_variant_convolution(const float* features, const float* kernels,
                                                  float* result, int height, int width,
                                                  int channels, int side, int threads) {
  const Shape shape{height, width, channels, side};
  const int row_blocks = (height + kRows - 1) / kRows;
  const int column_blocks = (width + kColumns - 1) / kColumns;
  const int channel_blocks = (channels + kChannels - 1) / kChannels;
#pragma omp parallel for num_threads(threads) schedule(dynamic) collapse(3)
  for (int channel_block = 0; channel_block < channel_blocks; ++channel_block) {
    for (int column_block = 0; column_block < column_blocks; ++column_block) {
      for (int row_block = 0; row_block < row_blocks; ++row_block) {
        const int first_channel = channel_block * kChannels;
        const int first_column = column_block * kColumns;
        const int last_row = std::min(height, (row_block + 1) * kRows);
        for (int i = row_block * kRows; i < last_row; ++i) {
          for (int j = first_column; j < std::min(width, first_column + kColumns); ++j) {
            const float* kernel = kernels + (int64_t(i) * width + j) * side * side;
            if (first_channel + kChannels <= channels) {
              position<kVectors>(features, kernel, result, shape, i, j, first_channel);
            } else {
              for (int c = first_channel; c < channels; c += kLanes) {
                position<1>(features, kernel, result, shape, i, j, c);
              }
            }
          }
        }
      }
    }
  }
}
