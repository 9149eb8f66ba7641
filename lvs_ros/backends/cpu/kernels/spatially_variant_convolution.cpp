// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Spatially variant convolution: every position has a kernel of its own (section 3.2 of the
// paper; lvs_ros/ops/spatially_variant_convolution.py has the equation).
#include <algorithm>
#include <cstdint>

#include "vectors.h"

namespace {

using lvs::kLanes;
using lvs::Lanes;
using lvs::load;
using lvs::unrolled;

// So many positions of a row are computed at once, for they see most features in common, and so
// many vectors of their channels: the sums stay in registers.
constexpr int kPositions = 3, kVectors = 4;
constexpr int kChannels = kVectors * lvs::kFloats;
// A block of positions goes down row by row: what it reads then stays in a core's own cache.
constexpr int kRows = 8, kColumns = 64;

struct Shape {
  int height, width, channels, side;
};

// Adds the features of one position to the sums of those of P positions, kFirst to kLast, that see
// it. taps(p): the weight that it has for p.
template <int kFirst, int kLast, class V, int P, int N, class Taps>
LVS_INLINE void add(const float* features, const Taps& taps, lvs::Sums<V, P, N>& sums) {
  float tap[P];
  unrolled<P>([&](auto p) LVS_INLINE_LAMBDA {
    if constexpr (p >= kFirst && p <= kLast) tap[p] = taps(p);
  });
  unrolled<N>([&](auto n) LVS_INLINE_LAMBDA {
    const V feature = load<V>(features + n * lvs::kWidth<V>);
    unrolled<P>([&](auto p) LVS_INLINE_LAMBDA {
      if constexpr (p >= kFirst && p <= kLast) sums.of[p][n] += tap[p] * feature;
    });
  });
}

// N vectors V of channels, from c on, at (i, j) and the P - 1 positions to the right of it. Where
// P is not 1, no column that they see lies beyond the border.
template <class V, int P, int N>
void compute(const float* features, const float* kernels, float* result, const Shape& shape, int i,
             int j, int c) {
  const int reach = shape.side / 2, side = shape.side;
  const int64_t channels = shape.channels, kernel_size = int64_t(side) * side;
  // Beyond the border there are zeros: those taps are left out.
  const int first_u = std::max(-reach, i - shape.height + 1), last_u = std::min(reach, i);
  const int first_column = std::max(0, j - reach);
  const int last_column = std::min(shape.width - 1, j + P - 1 + reach);
  const float* kernel = kernels + (int64_t(i) * shape.width + j) * kernel_size;
  lvs::Sums<V, P, N> sums;
  for (int u = first_u; u <= last_u; ++u) {
    // Position p sees a column by the tap p after the one by which position 0 does, if it has one.
    const float* row = features + int64_t(i - u) * shape.width * channels + c;
    const float* tap = kernel + (u + reach) * side + reach + j;
    const auto taps_of = [&](int column) LVS_INLINE_LAMBDA {
      return [tap, column, kernel_size](int p) LVS_INLINE_LAMBDA {
        return tap[p * (kernel_size + 1) - column];
      };
    };
    unrolled<P - 1>([&](auto n) LVS_INLINE_LAMBDA {    // the first few, too far left for the others
      const int column = first_column + n;
      add<0, n>(row + column * channels, taps_of(column), sums);
    });
    for (int column = first_column + P - 1; column <= last_column - P + 1; ++column) {
      add<0, P - 1>(row + column * channels, taps_of(column), sums);
    }
    unrolled<P - 1>([&](auto n) LVS_INLINE_LAMBDA {
      const int column = last_column - (P - 2) + n;
      add<n + 1, P - 1>(row + column * channels, taps_of(column), sums);
    });
  }
  sums.store_to(result + (int64_t(i) * shape.width + j) * channels + c, channels);
}

// As many channels as there are, kChannels at most, of P positions.
template <int P>
void compute_channels(const float* features, const float* kernels, float* result,
                      const Shape& shape, int i, int j, int c) {
  if (c + kChannels <= shape.channels) {
    compute<lvs::Vector, P, kVectors>(features, kernels, result, shape, i, j, c);
    return;
  }
  for (; c < shape.channels; c += kLanes) {
    compute<Lanes, P, 1>(features, kernels, result, shape, i, j, c);
  }
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
        const int last_column = std::min(width, first_column + kColumns);
        const int reach = side / 2;
        for (int i = row_block * kRows; i < last_row; ++i) {
          for (int j = first_column; j < last_column;) {
            const int last = j + kPositions - 1;
            if (kPositions <= side && j >= reach && last + reach < width && last < last_column) {
              compute_channels<kPositions>(features, kernels, result, shape, i, j, first_channel);
              j += kPositions;
            } else {
              compute_channels<1>(features, kernels, result, shape, i, j, first_channel);
              ++j;
            }
          }
        }
      }
    }
  }
}
