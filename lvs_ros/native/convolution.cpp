// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Convolutions that are computed as they are written down: any size of the kernel, any stride, any
// dilation.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "rows.h"
#include "tiles.h"

namespace {

using lvs::Shape;

// Lines of the image that a thread has made ready.
template <class Value>
struct Lines {
  std::vector<Value> values;
  std::vector<unsigned char> ready;    // 1 = the line is there
};

template <class Value>
thread_local Lines<Value> own_lines;

// Rows of the result that a thread computes at once, for they share lines of the image; few, for
// the threads are to end at the same time.
int rows_at_once(int rows, int threads) { return std::clamp(rows / (threads * 6), 1, 8); }

// The rows from first to last - 1 of the result; Arithmetic: how products are computed.
template <class Arithmetic>
void convolve(const float* x, const typename Arithmetic::Value* weights, const Shape& shape,
              const lvs::Finish& finish, int first, int last, int threads, float* y) {
  typedef typename Arithmetic::Value Value;
  const int64_t size = Arithmetic::line(shape);
  const int part = rows_at_once(last - first, threads);
  const int span = (part - 1) * shape.stride + shape.reach();    // lines that a part sees
#pragma omp parallel num_threads(threads)
  {
    [[maybe_unused]] const typename Arithmetic::Unit unit{};
    Value* lines = lvs::room(own_lines<Value>.values, size_t(span) * size);
    unsigned char* ready = lvs::room(own_lines<Value>.ready, span);
#pragma omp for schedule(dynamic)
    for (int begin = first; begin < last; begin += part) {
      std::fill_n(ready, span, 0);
      const auto read = [&](int n) {
        if (ready[n]) return;
        const int i = begin * shape.stride + n - shape.padding;
        lvs::read_line(shape, i, size, [&](int64_t count, Value* to) {
          Arithmetic::convert(x + int64_t(i) * shape.width * shape.channels_in, count, to);
        }, lines + n * size);
        ready[n] = 1;
      };
      for (int row = begin; row < std::min(last, begin + part); ++row) {
        const int top = (row - begin) * shape.stride;    // the first line that the kernel sees
        for (int k = 0; k < shape.kernel; ++k) read(top + k * shape.dilation);
        Arithmetic::compute_row(
            [&](int k) { return lines + (top + k * shape.dilation) * size; }, shape, weights,
            finish, int64_t(row) * shape.columns() * shape.channels_out, y);
      }
    }
  }
}

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
                     int kernel, int stride, int padding, int dilation, int relu, int first,
                     int last, int threads) {
  const Shape shape{height, width, channels_in, channels_out, kernel, stride, padding, dilation};
  convolve<lvs::Float32>(x, weights, shape, {bias, added, relu != 0}, first, last, threads, y);
}

#ifdef __AMX_BF16__
// The same with products of bfloat16; the weights as BFloat16::compute_row wants them.
void lvs_tile_convolution(const float* x, const uint16_t* weights, const float* bias,
                          const float* added, float* y, int height, int width, int channels_in,
                          int channels_out, int kernel, int stride, int padding, int dilation,
                          int relu, int first, int last, int threads) {
  const Shape shape{height, width, channels_in, channels_out, kernel, stride, padding, dilation};
  convolve<lvs::BFloat16>(x, weights, shape, {bias, added, relu != 0}, first, last, threads, y);
}
#endif

}  // extern "C"
