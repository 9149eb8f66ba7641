// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// The stem of a ResNet in one pass over the image: normalisation, convolution, ReLU, max pooling.
// What lies between them, the largest of all features, never goes through memory.
#ifndef LVS_ROS__BACKENDS__CPU__KERNELS__STEM_H_
#define LVS_ROS__BACKENDS__CPU__KERNELS__STEM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "rows.h"

namespace lvs {

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
      for (int v = 0; v < kValues; v += kLanes) {
        Pixels pixels;
        std::memcpy(&pixels, from + n + v, sizeof pixels);
        store(to + n + v, __builtin_convertvector(pixels, Lanes) * load<Lanes>(scale + v) +
                              load<Lanes>(shift + v));
      }
    }
    for (int v = 0; n < count; ++n, ++v) to[n] = float(from[n]) * scale[v] + shift[v];
  }
};

// A row of pooled features: of rows 2 p - 1 to 2 p + 1 of the convolution, those that exist.
inline void pool(const float* const* rows, int count, const Shape& shape, int pooled_columns, float* y) {
  const int columns = shape.columns(), channels = shape.channels_out;
  for (int q = 0; q < pooled_columns; ++q) {
    const int first = std::max(0, kPoolStride * q - 1);
    const int last = std::min(columns - 1, kPoolStride * q + 1);
    for (int c = 0; c < channels; c += kLanes) {
      Lanes best = load<Lanes>(rows[0] + int64_t(first) * channels + c);
      for (int r = 0; r < count; ++r) {
        for (int column = first; column <= last; ++column) {
          const Lanes value = load<Lanes>(rows[r] + int64_t(column) * channels + c);
          best = (value > best) | (value != value) ? value : best;
        }
      }
      store(y + int64_t(q) * channels + c, best);
    }
  }
}

// The rows from first to last - 1 of the pooled result; Arithmetic: how products are computed.
template <class Arithmetic, class Pixel>
void compute_stem(const Pixel* image, const Normalisation& normalisation, const Shape& shape,
                  const typename Arithmetic::Value* weights, const Finish& finish, int first,
                  int last, float* y) {
  typedef typename Arithmetic::Value Value;
  // Lines of the image, as many as the kernel sees; one of them before it is converted; rows of
  // the convolution.
  thread_local std::vector<Value> own_lines;
  thread_local std::vector<float> own_line, own_rows;
  const int64_t size = Arithmetic::line(shape);
  const int64_t row_size = int64_t(shape.columns()) * shape.channels_out;
  const int pooled_columns = (shape.columns() - 1) / kPoolStride + 1;
  Value* lines = room(own_lines, size_t(shape.kernel) * size);
  float* features = room(own_rows, size_t(kPool) * row_size);
  // Line i of the image (from -padding on) lies at i modulo the kernel's size, row r of the
  // convolution at r modulo that of the pooling: what is there already is not computed again.
  const auto line_at = [&](int i) { return lines + (i + shape.padding) % shape.kernel * size; };
  const auto row_at = [&](int r) { return features + r % kPool * row_size; };
  const auto normalise = [&](int i, int64_t count, Value* to) {
    const Pixel* from = image + int64_t(i) * shape.width * kColours;
    if constexpr (std::is_same_v<Value, float>) {
      normalisation.apply(from, count, to);
    } else {
      float* line = room(own_line, count);
      normalisation.apply(from, count, line);
      Arithmetic::convert(line, count, to);
    }
  };
  int next_row = std::max(0, kPoolStride * first - 1);
  int next_line = next_row * shape.stride - shape.padding;
  for (int p = first; p < last; ++p) {
    const int end_row = std::min(shape.rows(), kPoolStride * p + 2);
    for (; next_row < end_row; ++next_row) {
      const int top = next_row * shape.stride - shape.padding;
      for (next_line = std::max(next_line, top); next_line < top + shape.kernel; ++next_line) {
        read_line(shape, next_line, size, [&](int64_t count, Value* to) {
          normalise(next_line, count, to);
        }, line_at(next_line));
      }
      Arithmetic::compute_row([&](int k) { return line_at(top + k); }, shape, weights, finish, 0,
                              row_at(next_row));
    }
    const float* rows[kPool];
    int count = 0;
    for (int r = std::max(0, kPoolStride * p - 1); r < end_row; ++r) rows[count++] = row_at(r);
    pool(rows, count, shape, pooled_columns,
         y + int64_t(p) * pooled_columns * shape.channels_out);
  }
}

// The stem of an image of bytes or of floats.
template <class Arithmetic>
void stem(const void* image, bool bytes, const Normalisation& normalisation, const Shape& shape,
          const typename Arithmetic::Value* weights, const float* bias, int threads, float* y) {
  const Finish finish{bias, nullptr, true};
  const int rows = (shape.rows() - 1) / kPoolStride + 1;
#pragma omp parallel num_threads(threads)
  {
    [[maybe_unused]] const typename Arithmetic::Unit unit{};
#pragma omp for schedule(dynamic)
    for (int first = 0; first < rows; first += kPart) {
      const auto compute = [&](const auto* pixels) {
        compute_stem<Arithmetic>(pixels, normalisation, shape, weights, finish, first,
                                 std::min(rows, first + kPart), y);
      };
      bytes ? compute(static_cast<const uint8_t*>(image))
            : compute(static_cast<const float*>(image));
    }
  }
}

}  // namespace lvs

#endif  // LVS_ROS__BACKENDS__CPU__KERNELS__STEM_H_
