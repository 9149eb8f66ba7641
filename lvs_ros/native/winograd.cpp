// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// 3x3 convolutions with a quarter of the multiplications: F(4x4, 3x3) of Lavin and Gray, "Fast
// algorithms for convolutional neural networks", CVPR 2016. Three steps for a block of tiles at a
// time, whose values then stay in a core's own cache:
//
//   read:      tiles of 6x6 pixels, which overlap by two -> 36 values each        V = B^T d B
//   multiply:  for each of the 36, the tiles' channels by the weights             M = V U
//   write:     the 36 sums of each tile -> 4x4 pixels of the result               Y = A^T M A
//
// A convolution of dilation D is one without on each of the D x D grids of every D-th pixel.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "panel.h"

namespace {

using lvs::divide;
using lvs::kLanes;
using lvs::kPanel;
using lvs::kRows;
using lvs::Lanes;
using lvs::load;
using lvs::store;

constexpr int kIn = 6, kOut = 4, kValues = kIn * kIn;

// Tiles in a block: few, for their values of some hundred channels are to fit into the cache.
constexpr int kBlock = kRows == 8 ? 16 : 12;

struct Tiles {
  int height, width, dilation;
  int rows, columns;    // of tiles, on each of the grids

  Tiles(int height, int width, int dilation)
      : height(height), width(width), dilation(dilation),
        rows(divide(divide(height, dilation), kOut)),
        columns(divide(divide(width, dilation), kOut)) {}

  int count() const { return dilation * dilation * rows * columns; }
  // Pixel of the first output of a tile.
  int top(int tile) const {
    return tile / (rows * columns) / dilation + dilation * kOut * (tile / columns % rows);
  }
  int left(int tile) const {
    return tile / (rows * columns) % dilation + dilation * kOut * (tile % columns);
  }
  bool inside(int i, int j) const { return i >= 0 && i < height && j >= 0 && j < width; }
};

// One dimension of the input's transform, B^T d; elements are `step` apart.
template <class V>
inline void transform_input(const V* d, V* v, int step) {
  const V d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
              d5 = d[5 * step];
  const V even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1;
  const V even2 = d4 - d2, odd2 = 2.0f * (d3 - d1);
  v[0] = 4.0f * d0 - 5.0f * d2 + d4;
  v[step] = even + odd;
  v[2 * step] = even - odd;
  v[3 * step] = even2 + odd2;
  v[4 * step] = even2 - odd2;
  v[5 * step] = 4.0f * d1 - 5.0f * d3 + d5;
}

// One dimension of the output's transform, A^T m.
template <class V>
inline void transform_output(const V* m, V* y, int step) {
  const V sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
  const V sum2 = m[3 * step] + m[4 * step], difference2 = m[3 * step] - m[4 * step];
  y[0] = m[0] + sum + sum2;
  y[step] = difference + 2.0f * difference2;
  y[2 * step] = sum + 4.0f * sum2;
  y[3 * step] = difference + 8.0f * difference2 + m[5 * step];
}

// kRows tiles (their values of all channels) by one panel of the weights: c = a b.
void multiply_panel(const float* a, const float* b, float* c, int depth, int pitch) {
  lvs::Sums sums;
  lvs::multiply(a, depth, depth, b, sums);
  LVS_UNROLL
  for (int r = 0; r < kRows; ++r) {
    LVS_UNROLL
    for (int n = 0; n < lvs::kVectors; ++n) store(c + r * pitch + n * lvs::kFloats, sums.of[r][n]);
  }
}

// Loads the pixels of a tile that lies inside the image.
template <class V>
inline void load_whole(const float* first, int64_t down, int64_t right, V* d) {
  LVS_UNROLL
  for (int i = 0; i < kIn; ++i) {
    LVS_UNROLL
    for (int j = 0; j < kIn; ++j) d[kIn * i + j] = load<V>(first + i * down + j * right);
  }
}

// Loads the pixels of any tile: zeros where the image ends.
template <class V>
void load_border(const float* x, const Tiles& tiles, int channels, int top, int left, V* d) {
  for (int n = 0; n < kValues; ++n) {
    const int i = top + tiles.dilation * (n / kIn), j = left + tiles.dilation * (n % kIn);
    d[n] = tiles.inside(i, j) ? load<V>(x + (int64_t(i) * tiles.width + j) * channels) : V{};
  }
}

// Calls function(V{}, c) for all channels: c = the first of each vector V, the widest that fits.
template <class Function>
inline void for_channels(int channels, const Function& function) {
  int c = 0;
  if (lvs::kFloats > kLanes) {
    for (; c + lvs::kFloats <= channels; c += lvs::kFloats) function(lvs::Vector{}, c);
  }
  for (; c < channels; c += kLanes) function(Lanes{}, c);
}

// A tile's 36 values of all channels: v[n * stride + c].
void read_tile(const float* x, const Tiles& tiles, int channels, int tile, float* v,
               int64_t stride) {
  const int step = tiles.dilation, reach = step * (kIn - 1);
  const int top = tiles.top(tile) - step, left = tiles.left(tile) - step;
  const bool whole = tiles.inside(top, left) && tiles.inside(top + reach, left + reach);
  const int64_t right = int64_t(step) * channels, down = right * tiles.width;
  for_channels(channels, [&](auto vector, int c) {
    decltype(vector) d[kValues], half[kValues];
    if (whole) {
      load_whole(x + (int64_t(top) * tiles.width + left) * channels + c, down, right, d);
    } else {
      load_border(x + c, tiles, channels, top, left, d);
    }
    LVS_UNROLL
    for (int j = 0; j < kIn; ++j) transform_input(d + j, half + j, kIn);
    LVS_UNROLL
    for (int i = 0; i < kIn; ++i) transform_input(half + kIn * i, d + kIn * i, 1);
    LVS_UNROLL
    for (int n = 0; n < kValues; ++n) store(v + n * stride + c, d[n]);
  });
}

// A tile's 36 sums of all channels, m[n * stride + c], become 4x4 pixels.
void write_tile(const float* m, int64_t stride, const Tiles& tiles, int channels, int tile,
                const lvs::Finish& finish, float* y) {
  const int step = tiles.dilation;
  const int top = tiles.top(tile), left = tiles.left(tile);
  const int rows = std::min(kOut, divide(tiles.height - top, step));
  const int columns = std::min(kOut, divide(tiles.width - left, step));
  const int64_t right = int64_t(step) * channels, down = right * tiles.width;
  for_channels(channels, [&](auto vector, int c) {
    typedef decltype(vector) V;
    V in[kValues], half[kValues], out[kValues];
    LVS_UNROLL
    for (int n = 0; n < kValues; ++n) in[n] = load<V>(m + n * stride + c);
    LVS_UNROLL
    for (int j = 0; j < kIn; ++j) transform_output(in + j, half + j, kIn);
    LVS_UNROLL
    for (int i = 0; i < kOut; ++i) transform_output(half + kIn * i, out + kIn * i, 1);
    const int64_t first = (int64_t(top) * tiles.width + left) * channels + c;
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        const int64_t at = first + i * down + j * right;
        store(y + at, finish.apply(out[kIn * i + j], at, c));
      }
    }
  });
}

// Scratch memory of a thread.
struct Scratch {
  std::vector<float> values, sums;    // of a block
};

thread_local Scratch scratch;

}  // namespace

extern "C" {

// Blocks of tiles that an image is worked on in.
int lvs_winograd_blocks(int height, int width, int dilation) {
  return divide(Tiles(height, width, dilation).count(), kBlock);
}

// The blocks from first to last - 1 of the result.
//
// x: (height, width, channels_in), u: (36, panels, channels_in, panel), bias: (channels_out),
// added: (height, width, channels_out) that is added before the ReLU, or null -> y: (height,
// width, channels_out). Channels are multiples of 8; relu: 1 = negative values become 0.
void lvs_winograd(const float* x, const float* u, const float* bias, const float* added, float* y,
                  int height, int width, int channels_in, int channels_out, int dilation,
                  int relu, int first, int last, int threads) {
  const Tiles tiles(height, width, dilation);
  const int panels = divide(channels_out, kPanel), pitch = panels * kPanel;
  const int64_t value_step = int64_t(kBlock) * channels_in, sum_step = int64_t(kBlock) * pitch;
  const lvs::Finish finish{bias, added, relu != 0};
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int block = first; block < last; ++block) {
    float* values = lvs::room(scratch.values, kValues * value_step);
    float* sums = lvs::room(scratch.sums, kValues * sum_step);
    const int begin = block * kBlock;
    for (int t = 0; t < kBlock && begin + t < tiles.count(); ++t) {
      read_tile(x, tiles, channels_in, begin + t, values + t * channels_in, value_step);
    }
    for (int n = 0; n < kValues; ++n) {
      for (int panel = 0; panel < panels; ++panel) {
        const float* weights = u + (int64_t(n) * panels + panel) * channels_in * kPanel;
        for (int t = 0; t < kBlock; t += kRows) {
          multiply_panel(values + n * value_step + int64_t(t) * channels_in, weights,
                         sums + n * sum_step + int64_t(t) * pitch + panel * kPanel, channels_in,
                         pitch);
        }
      }
    }
    for (int t = 0; t < kBlock && begin + t < tiles.count(); ++t) {
      write_tile(sums + t * pitch, sum_step, tiles, channels_out, begin + t, finish, y);
    }
  }
}

}  // extern "C"
