// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// The stem of a ResNet in one pass over the image: normalisation, convolution, ReLU, max pooling.
// What lies between them, the largest of all features, never goes through memory.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "rows.h"

namespace {

using lvs::kLanes;
using lvs::Shape;

constexpr int kColours = 3;
constexpr int kPool = 3, kPoolStride = 2;    // of the pooling, whose padding is 1
// Rows of the result that a thread computes at once. The last row of the convolution that one part
// sees is the first of the next, which computes it again.
constexpr int kPart = 8;

// pixel * scale + shift of each colour, vector by vector: the colours come round after three.
struct Normalisation {
  static constexpr int kValues = kColours * kLanes;
  float scale[kValues], shift[kValues];

  Normalisation(const float* colour_scale, const float* colour_shift) {
    for (int n = 0; n < kValues; ++n) {
      scale[n] = colour_scale[n % kColours];
      shift[n] = colour_shift[n % kColours];
    }
  }

  template <class Pixel>
  void apply(const Pixel* from, int64_t count, float* to) const {
    typedef Pixel Pixels __attribute__((vector_size(kLanes * sizeof(Pixel))));
    int64_t n = 0;
    for (; n + kValues <= count; n += kValues) {
      LVS_UNROLL
      for (int v = 0; v < kValues; v += kLanes) {
        Pixels pixels;
        std::memcpy(&pixels, from + n + v, sizeof pixels);
        lvs::store(to + n + v, __builtin_convertvector(pixels, lvs::Lanes) *
                                   lvs::load<lvs::Lanes>(scale + v) +
                                   lvs::load<lvs::Lanes>(shift + v));
      }
    }
    for (int v = 0; n < count; ++n, ++v) to[n] = float(from[n]) * scale[v] + shift[v];
  }
};

// A row of pooled features: of rows 2 p - 1 to 2 p + 1 of the convolution, those that exist.
void pool(const float* const* rows, int count, const Shape& shape, int pooled_columns, float* y) {
  const int columns = shape.columns(), channels = shape.channels_out;
  for (int q = 0; q < pooled_columns; ++q) {
    const int first = std::max(0, kPoolStride * q - 1);
    const int last = std::min(columns - 1, kPoolStride * q + 1);
    for (int c = 0; c < channels; c += kLanes) {
      lvs::Lanes best = lvs::load<lvs::Lanes>(rows[0] + int64_t(first) * channels + c);
      for (int r = 0; r < count; ++r) {
        for (int column = first; column <= last; ++column) {
          const lvs::Lanes value =
              lvs::load<lvs::Lanes>(rows[r] + int64_t(column) * channels + c);
          best = (value > best) | (value != value) ? value : best;
        }
      }
      lvs::store(y + int64_t(q) * channels + c, best);
    }
  }
}

struct Scratch {
  std::vector<float> lines, rows;    // of the image, as many as the kernel sees; of the convolution
};

thread_local Scratch scratch;

// The rows from first to last - 1 of the pooled result.
template <class Pixel>
void compute(const Pixel* image, const Normalisation& normalisation, const Shape& shape,
             const float* weights, const lvs::Finish& finish, int first, int last, float* y) {
  const int64_t line = shape.line(), row_size = int64_t(shape.columns()) * shape.channels_out;
  const int pooled_columns = (shape.columns() - 1) / kPoolStride + 1;
  float* lines = lvs::room(scratch.lines, size_t(shape.kernel) * line);
  float* features = lvs::room(scratch.rows, size_t(kPool) * row_size);
  // Line i of the image (from -padding on) lies at i modulo the kernel's size, row r of the
  // convolution at r modulo that of the pooling: what is there already is not computed again.
  const auto line_at = [&](int i) { return lines + (i + shape.padding) % shape.kernel * line; };
  const auto row_at = [&](int r) { return features + r % kPool * row_size; };
  int next_row = std::max(0, kPoolStride * first - 1);
  int next_line = next_row * shape.stride - shape.padding;
  for (int p = first; p < last; ++p) {
    const int end_row = std::min(shape.rows(), kPoolStride * p + 2);
    for (; next_row < end_row; ++next_row) {
      const int top = next_row * shape.stride - shape.padding;
      for (next_line = std::max(next_line, top); next_line < top + shape.kernel; ++next_line) {
        lvs::read_line(shape, next_line, [&](int64_t count, float* to) {
          normalisation.apply(image + int64_t(next_line) * shape.width * kColours, count, to);
        }, line_at(next_line));
      }
      lvs::compute_row([&](int k) { return line_at(top + k); }, shape, weights, finish, 0,
                       row_at(next_row));
    }
    const float* rows[kPool];
    int count = 0;
    for (int r = std::max(0, kPoolStride * p - 1); r < end_row; ++r) rows[count++] = row_at(r);
    pool(rows, count, shape, pooled_columns,
         y + int64_t(p) * pooled_columns * shape.channels_out);
  }
}

template <class Pixel>
void compute_all(const Pixel* image, const float* scale, const float* shift, const float* weights,
                 const float* bias, float* y, int height, int width, int channels_out, int kernel,
                 int stride, int padding, int threads) {
  const Shape shape{height, width, kColours, channels_out, kernel, stride, padding};
  const Normalisation normalisation(scale, shift);
  const lvs::Finish finish{bias, nullptr, true};
  const int rows = (shape.rows() - 1) / kPoolStride + 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int first = 0; first < rows; first += kPart) {
    compute(image, normalisation, shape, weights, finish, first, std::min(rows, first + kPart), y);
  }
}

}  // namespace

extern "C" {

// image: (height, width, 3), scale and shift: (3), weights and bias as those of a convolution ->
// y: (pooled rows, pooled columns, channels_out), channels_out a multiple of 8. The stride is not
// larger than the kernel.
void lvs_stem_of_bytes(const uint8_t* image, const float* scale, const float* shift,
                       const float* weights, const float* bias, float* y, int height, int width,
                       int channels_out, int kernel, int stride, int padding, int threads) {
  compute_all(image, scale, shift, weights, bias, y, height, width, channels_out, kernel, stride,
              padding, threads);
}

void lvs_stem_of_floats(const float* image, const float* scale, const float* shift,
                        const float* weights, const float* bias, float* y, int height, int width,
                        int channels_out, int kernel, int stride, int padding, int threads) {
  compute_all(image, scale, shift, weights, bias, y, height, width, channels_out, kernel, stride,
              padding, threads);
}

}  // extern "C"
