// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Convolutions that are computed as they are written down: any size of the kernel, any stride, any
// dilation.
#ifndef LVS_ROS__BACKENDS__CPU__KERNELS__CONVOLUTION_H_
#define LVS_ROS__BACKENDS__CPU__KERNELS__CONVOLUTION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "rows.h"

namespace lvs {

// Rows of the result that a thread computes at once, for they share lines of the image; few, for
// the threads are to end at the same time.
inline int rows_at_once(int rows, int threads) { return std::clamp(rows / (threads * 6), 1, 8); }

// The rows from first to last - 1 of the result; Arithmetic: how products are computed.
template <class Arithmetic>
void convolve(const float* x, const typename Arithmetic::Value* weights, const Shape& shape,
              const Finish& finish, int first, int last, int threads, float* y) {
  typedef typename Arithmetic::Value Value;
  const int64_t size = Arithmetic::line(shape);
  const int part = rows_at_once(last - first, threads);
  const int span = (part - 1) * shape.stride + shape.reach();    // lines that a part sees
#pragma omp parallel num_threads(threads)
  {
    [[maybe_unused]] const typename Arithmetic::Unit unit{};
    // Lines of the image, and whether each is there.
    thread_local std::vector<Value> own_lines;
    thread_local std::vector<unsigned char> own_ready;
    Value* lines = room(own_lines, size_t(span) * size);
    unsigned char* ready = room(own_ready, span);
#pragma omp for schedule(dynamic)
    for (int begin = first; begin < last; begin += part) {
      std::fill_n(ready, span, 0);
      const auto read = [&](int n) {
        if (ready[n]) return;
        const int i = begin * shape.stride + n - shape.padding;
        read_line(shape, i, size, [&](int64_t count, Value* to) {
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

}  // namespace lvs

#endif  // LVS_ROS__BACKENDS__CPU__KERNELS__CONVOLUTION_H_
