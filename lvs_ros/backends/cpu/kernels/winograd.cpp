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
using lvs::unrolled;

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

// One dimension of the input's transform, B^T d.
template <class V>
LVS_INLINE void transform_input(const V (&d)[kIn], V (&v)[kIn]) {
  const V even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
  const V even2 = d[4] - d[2], odd2 = 2.0f * (d[3] - d[1]);
  v[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  v[1] = even + odd;
  v[2] = even - odd;
  v[3] = even2 + odd2;
  v[4] = even2 - odd2;
  v[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

// One dimension of the output's transform, A^T m.
template <class V>
LVS_INLINE void transform_output(const V (&m)[kIn], V (&y)[kOut]) {
  const V sum = m[1] + m[2], difference = m[1] - m[2];
  const V sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  y[0] = m[0] + sum + sum2;
  y[1] = difference + 2.0f * difference2;
  y[2] = sum + 4.0f * sum2;
  y[3] = difference + 8.0f * difference2 + m[5];
}

// kRows tiles (their values of all channels) by one panel of the weights: c = a b.
void multiply_panel(const float* a, const float* b, float* c, int depth, int pitch) {
  lvs::PanelSums sums;
  lvs::multiply(a, depth, depth, b, sums);
  sums.store_to(c, pitch);
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

// The 36 values of some channels of a tile, v[n * stride].
//
// pixel(i, j): the channels of one of its pixels.
template <class V, class Pixel>
LVS_INLINE void transform_tile(const Pixel& pixel, float* v, int64_t stride) {
  V half[kIn][kIn];    // transposed
  unrolled<kIn>([&](auto j) LVS_INLINE_LAMBDA {
    V column[kIn];
    unrolled<kIn>([&](auto i) LVS_INLINE_LAMBDA { column[i] = pixel(i, j); });
    transform_input(column, half[j]);
  });
  unrolled<kIn>([&](auto i) LVS_INLINE_LAMBDA {
    V row[kIn], values[kIn];
    unrolled<kIn>([&](auto j) LVS_INLINE_LAMBDA { row[j] = half[j][i]; });
    transform_input(row, values);
    unrolled<kIn>([&](auto j) LVS_INLINE_LAMBDA {
      store(v, values[j]);
      v += stride;
    });
  });
}

// A tile that lies inside the image; `from`: its first pixel.
template <class V>
void transform_whole(const float* from, int64_t down, int64_t right, float* v, int64_t stride) {
  const float* rows[kIn];
  unrolled<kIn>([&](auto i) LVS_INLINE_LAMBDA { rows[i] = from + i * down; });
  transform_tile<V>(
      [&](auto i, auto j) LVS_INLINE_LAMBDA { return load<V>(rows[i] + j * right); }, v, stride);
}

// Any tile: zeros where the image ends. `pixels`: where each pixel's channels begin, or null.
template <class V>
void transform_border(const float* const (&pixels)[kValues], int c, float* v, int64_t stride) {
  transform_tile<V>(
      [&](auto i, auto j) LVS_INLINE_LAMBDA {
        const float* pixel = pixels[kIn * i + j];
        return pixel == nullptr ? V{} : load<V>(pixel + c);
      },
      v, stride);
}

// A tile's 36 values of all channels: v[n * stride + c].
void read_tile(const float* x, const Tiles& tiles, int channels, int tile, float* v,
               int64_t stride) {
  const int step = tiles.dilation, reach = step * (kIn - 1);
  const int top = tiles.top(tile) - step, left = tiles.left(tile) - step;
  const auto at = [&](int i, int j) { return x + (int64_t(i) * tiles.width + j) * channels; };
  if (tiles.inside(top, left) && tiles.inside(top + reach, left + reach)) {
    const int64_t right = int64_t(step) * channels, down = right * tiles.width;
    for_channels(channels, [&](auto vector, int c) {
      transform_whole<decltype(vector)>(at(top, left) + c, down, right, v + c, stride);
    });
    return;
  }
  const float* pixels[kValues];
  for (int n = 0; n < kValues; ++n) {
    const int i = top + step * (n / kIn), j = left + step * (n % kIn);
    pixels[n] = tiles.inside(i, j) ? at(i, j) : nullptr;
  }
  for_channels(channels, [&](auto vector, int c) {
    transform_border<decltype(vector)>(pixels, c, v + c, stride);
  });
}

// Some channels of a tile's sums, m[n * stride], become 4x4 pixels, in rows.
template <class V>
LVS_INLINE void transform_sums(const float* m, int64_t stride, V (&pixels)[kOut][kOut]) {
  V half[kOut][kIn];
  unrolled<kIn>([&](auto j) LVS_INLINE_LAMBDA {
    V column[kIn], out[kOut];
    unrolled<kIn>([&](auto i) LVS_INLINE_LAMBDA {
      column[i] = load<V>(m + (kIn * i + j) * stride);
    });
    transform_output(column, out);
    unrolled<kOut>([&](auto i) LVS_INLINE_LAMBDA { half[i][j] = out[i]; });
  });
  unrolled<kOut>([&](auto i) LVS_INLINE_LAMBDA { transform_output(half[i], pixels[i]); });
}

// A tile's 36 sums of all channels, m[n * stride + c], become 4x4 pixels.
void write_tile(const float* m, int64_t stride, const Tiles& tiles, int channels, int tile,
                const lvs::Finish& finish, float* y) {
  const int step = tiles.dilation;
  const int top = tiles.top(tile), left = tiles.left(tile);
  const int rows = std::min(kOut, divide(tiles.height - top, step));
  const int columns = std::min(kOut, divide(tiles.width - left, step));
  const int64_t right = int64_t(step) * channels, down = right * tiles.width;
  const int64_t begin = (int64_t(top) * tiles.width + left) * channels;
  for_channels(channels, [&](auto vector, int c) {
    typedef decltype(vector) V;
    V pixels[kOut][kOut];
    transform_sums(m + c, stride, pixels);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        const int64_t at = begin + c + i * down + j * right;
        store(y + at, finish.apply(pixels[i][j], at, c));
      }
    }
  });
}

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
    thread_local std::vector<float> own_values, own_sums;    // of a block
    float* values = lvs::room(own_values, kValues * value_step);
    float* sums = lvs::room(own_sums, kValues * sum_step);
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
