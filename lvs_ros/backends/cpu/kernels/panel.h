// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// The multiplication that convolutions are made of: a few rows by a panel of weights, summed up in
// registers.
#ifndef LVS_ROS__BACKENDS__CPU__KERNELS__PANEL_H_
#define LVS_ROS__BACKENDS__CPU__KERNELS__PANEL_H_

#include <cstdint>

#include "vectors.h"

namespace lvs {

// The sums of kRows rows by kPanel output channels are kept in registers: 12 of 16 with AVX2,
// 24 of 32 with AVX-512, 16 of 32 elsewhere.
constexpr int kRows = kFloats == 16 ? 12 : kFloats == 8 ? 6 : 8;
constexpr int kVectors = 2;
constexpr int kPanel = kVectors * kFloats;

typedef Sums<Vector, kRows, kVectors> PanelSums;

inline int divide(int a, int b) { return (a + b - 1) / b; }    // rounded up

// Weights are fetched so many rows of a panel ahead, for they come from memory or a slow cache. The
// panels that follow each other there are multiplied one after the other.
constexpr int kAhead = 128, kLine = 16;    // floats in a line of the cache

// sums += a b; a: (kRows, depth), rows `pitch` apart, b: (depth, kPanel).
LVS_INLINE void multiply(const float* a, int64_t pitch, int depth, const float* b,
                         PanelSums& sums) {
  for (int k = 0; k < depth; ++k) {
    for (int n = 0; n < kPanel; n += kLine) __builtin_prefetch(b + (k + kAhead) * kPanel + n);
    Vector weights[kVectors];
    unrolled<kVectors>([&](auto n) LVS_INLINE_LAMBDA {
      weights[n] = load<Vector>(b + k * kPanel + n * kFloats);
    });
    unrolled<kRows>([&](auto r) LVS_INLINE_LAMBDA {
      const float value = a[r * pitch + k];
      unrolled<kVectors>([&](auto n) LVS_INLINE_LAMBDA { sums.of[r][n] += value * weights[n]; });
    });
  }
}

// What becomes of the sums, for each pixel and channel.
struct Finish {
  const float* bias;
  const float* added;    // as large as the result, or null
  bool relu;

  // One channel (V = float) or several from a position of the result on.
  template <class V>
  V apply(V sum, int64_t at, int channel) const {
    sum += load<V>(bias + channel);
    if (added != nullptr) sum += load<V>(added + at);
    return relu ? (sum < 0.0f ? V{} : sum) : sum;    // NaN stays NaN
  }
};

}  // namespace lvs

#endif  // LVS_ROS__BACKENDS__CPU__KERNELS__PANEL_H_
