// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// 3x3 convolutions with a quarter of the multiplications: F(4x4, 3x3) of Lavin and Gray, "Fast
// algorithms for convolutional neural networks", CVPR 2016. Three steps, so that a caller can
// pause between them:
//
//   input:     tiles of 6x6 pixels, which overlap by two -> 36 values each        V = B^T d B
//   multiply:  for each of the 36, the tiles' channels by the weights             M = V U
//   output:    the 36 values of each tile -> 4x4 pixels of the result             Y = A^T M A
//
// A convolution of dilation D is one without on each of the D x D grids of every D-th pixel.
#include <algorithm>
#include <cstdint>

#include "vectors.h"

namespace {

using lvs::kLanes;
using lvs::Lanes;
using lvs::load;
using lvs::store;

constexpr int kIn = 6, kOut = 4, kValues = kIn * kIn;

// The sums of kRows tiles by kPanel output channels are kept in registers: 12 of 16 with AVX2,
// 24 of 32 with AVX-512, 16 of 32 elsewhere.
#if defined(LVS_FLOATS)
constexpr int kFloats = LVS_FLOATS;
#elif defined(__AVX512F__)
constexpr int kFloats = 16;
#elif defined(__AVX__)
constexpr int kFloats = 8;
#else
constexpr int kFloats = 4;
#endif
constexpr int kRows = kFloats == 16 ? 12 : kFloats == 8 ? 6 : 8;
constexpr int kVectors = 2;
constexpr int kPanel = kVectors * kFloats;
typedef float Vector __attribute__((vector_size(kFloats * sizeof(float))));

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
  static int divide(int a, int b) { return (a + b - 1) / b; }    // rounded up
};

// One dimension of the input's transform, B^T d; elements are `step` apart.
inline void transform_input(const Lanes* d, Lanes* v, int step) {
  const Lanes d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
              d5 = d[5 * step];
  const Lanes even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1;
  const Lanes even2 = d4 - d2, odd2 = 2.0f * (d3 - d1);
  v[0] = 4.0f * d0 - 5.0f * d2 + d4;
  v[step] = even + odd;
  v[2 * step] = even - odd;
  v[3 * step] = even2 + odd2;
  v[4 * step] = even2 - odd2;
  v[5 * step] = 4.0f * d1 - 5.0f * d3 + d5;
}

// One dimension of the output's transform, A^T m.
inline void transform_output(const Lanes* m, Lanes* y, int step) {
  const Lanes sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
  const Lanes sum2 = m[3 * step] + m[4 * step], difference2 = m[3 * step] - m[4 * step];
  y[0] = m[0] + sum + sum2;
  y[step] = difference + 2.0f * difference2;
  y[2 * step] = sum + 4.0f * sum2;
  y[3 * step] = difference + 8.0f * difference2 + m[5 * step];
}

// kRows tiles by one panel of the weights: c = a b.
void multiply_panel(const float* a, const float* b, float* c, int depth, int pitch) {
  Vector sum[kRows][kVectors] = {};
  for (int k = 0; k < depth; ++k) {
    Vector weights[kVectors];
    for (int n = 0; n < kVectors; ++n) weights[n] = load<Vector>(b + k * kPanel + n * kFloats);
    for (int r = 0; r < kRows; ++r) {
      const float value = a[r * depth + k];
      for (int n = 0; n < kVectors; ++n) sum[r][n] += value * weights[n];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kVectors; ++n) store(c + r * pitch + n * kFloats, sum[r][n]);
  }
}

}  // namespace

extern "C" {

// Tiles of an image, rounded up to what multiply works on at once.
int lvs_winograd_tiles(int height, int width, int dilation) {
  return Tiles::divide(Tiles(height, width, dilation).count(), kRows) * kRows;
}

// Output channels that multiply works on at once: the weights come in panels of so many.
int lvs_winograd_panel() { return kPanel; }

// x: (height, width, channels) -> v: (36, tiles, channels), channels a multiple of 8.
void lvs_winograd_input(const float* x, float* v, int height, int width, int channels,
                        int dilation, int threads) {
  const Tiles tiles(height, width, dilation);
  const int padded = lvs_winograd_tiles(height, width, dilation);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int tile = 0; tile < padded; ++tile) {
    const int top = tiles.top(tile) - dilation, left = tiles.left(tile) - dilation;
    for (int c = 0; c < channels; c += kLanes) {
      Lanes d[kValues], half[kValues];
      for (int n = 0; n < kValues; ++n) {
        const int i = top + dilation * (n / kIn), j = left + dilation * (n % kIn);
        const bool inside =
            tile < tiles.count() && i >= 0 && i < height && j >= 0 && j < width;
        d[n] = inside ? load<Lanes>(x + (int64_t(i) * width + j) * channels + c) : Lanes{};
      }
      for (int j = 0; j < kIn; ++j) transform_input(d + j, half + j, kIn);
      for (int i = 0; i < kIn; ++i) transform_input(half + kIn * i, d + kIn * i, 1);
      for (int n = 0; n < kValues; ++n) {
        store(v + (int64_t(n) * padded + tile) * channels + c, d[n]);
      }
    }
  }
}

// v: (36, tiles, channels), u: (36, panels, channels, panel) -> m: (36, tiles, panels * panel),
// of the 36 those from first to last - 1.
void lvs_winograd_multiply(const float* v, const float* u, float* m, int tiles, int channels,
                           int panels, int first, int last, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
  for (int n = first; n < last; ++n) {
    for (int panel = 0; panel < panels; ++panel) {
      for (int tile = 0; tile < tiles; tile += kRows) {
        multiply_panel(v + (int64_t(n) * tiles + tile) * channels,
                       u + (int64_t(n) * panels + panel) * channels * kPanel,
                       m + (int64_t(n) * tiles + tile) * panels * kPanel + panel * kPanel,
                       channels, panels * kPanel);
      }
    }
  }
}

// m: (36, tiles, pitch), bias: (channels) -> y: (height, width, channels), channels a multiple
// of 8; pitch, the panels' channels, may be more. relu: 1 = negative values become 0. added:
// (height, width, channels) that is added before, or null.
void lvs_winograd_output(const float* m, const float* bias, const float* added, float* y,
                         int height, int width, int channels, int dilation, int pitch, int relu,
                         int threads) {
  const Tiles tiles(height, width, dilation);
  const int padded = lvs_winograd_tiles(height, width, dilation);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int tile = 0; tile < tiles.count(); ++tile) {
    const int top = tiles.top(tile), left = tiles.left(tile);
    for (int c = 0; c < channels; c += kLanes) {
      Lanes in[kValues], half[kValues], out[kValues];
      for (int n = 0; n < kValues; ++n) {
        in[n] = load<Lanes>(m + (int64_t(n) * padded + tile) * pitch + c);
      }
      for (int j = 0; j < kIn; ++j) transform_output(in + j, half + j, kIn);
      for (int i = 0; i < kOut; ++i) transform_output(half + kIn * i, out + kIn * i, 1);
      const Lanes offset = load<Lanes>(bias + c);
      for (int n = 0; n < kOut * kOut; ++n) {
        const int i = top + dilation * (n / kOut), j = left + dilation * (n % kOut);
        if (i >= height || j >= width) continue;
        const int64_t at = (int64_t(i) * width + j) * channels + c;
        Lanes sum = out[kIn * (n / kOut) + n % kOut] + offset;
        if (added != nullptr) sum += load<Lanes>(added + at);
        if (relu) sum = sum < 0.0f ? Lanes{} : sum;    // NaN stays NaN
        store(y + at, sum);
      }
    }
  }
}

}  // extern "C"
