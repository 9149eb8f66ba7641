// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// How AdaptNet corrects the propagated features, in one pass: what lies between its 1x1
// convolutions never goes through memory (lvs_ros/backends/cpu/adapt_net.py).
#ifndef LVS_ROS__BACKENDS__CPU__KERNELS__FUSION_H_
#define LVS_ROS__BACKENDS__CPU__KERNELS__FUSION_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rows.h"

namespace lvs {

// Arithmetic: how products are computed; weights as its compute_row wants them.
template <class Arithmetic, class Value = typename Arithmetic::Value>
void fuse(const float* propagated, const float* adapted, const Value* weights_a,
          const float* bias_a, const Value* weights_b, const float* bias_b,
          const Value* weights_correction, const float* bias_correction, float* y, int height,
          int width, int channels, int channels_adapted, int threads) {
  // The convolution of a row; added and result begin at the same value of it.
  const auto convolve = [&](const float* x, int channels_in, const Value* weights,
                            const Finish& finish, float* result) {
    const Shape shape{1, width, channels_in, channels, 1, 1, 0, 1};
    const int64_t size = Arithmetic::line(shape);
    thread_local std::vector<Value> own_line;
    Value* line = room(own_line, size);
    read_line(shape, 0, size, [&](int64_t count, Value* to) {
      Arithmetic::convert(x, count, to);
    }, line);
    Arithmetic::compute_row([&](int) { return line; }, shape, weights, finish, 0, result);
  };
#pragma omp parallel num_threads(threads)
  {
    [[maybe_unused]] const typename Arithmetic::Unit unit{};
    thread_local std::vector<float> own_row;
    float* fused = room(own_row, std::size_t(width) * channels);
#pragma omp for schedule(dynamic)
    for (int i = 0; i < height; ++i) {
      const float* row = propagated + int64_t(i) * width * channels;
      convolve(row, channels, weights_a, {bias_a, nullptr, false}, fused);
      convolve(adapted + int64_t(i) * width * channels_adapted, channels_adapted, weights_b,
               {bias_b, fused, true}, fused);
      convolve(fused, channels, weights_correction, {bias_correction, row, false},
               y + int64_t(i) * width * channels);
    }
  }
}

}  // namespace lvs

#endif  // LVS_ROS__BACKENDS__CPU__KERNELS__FUSION_H_
