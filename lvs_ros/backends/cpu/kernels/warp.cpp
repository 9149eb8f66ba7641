// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Reading features bilinearly where the content of each position was before; positions outside
// take the value at the border (lvs_ros/ops/warp.py).
#include <algorithm>
#include <cstdint>

#include "between.h"
#include "vectors.h"

namespace {

using lvs::kLanes;
using lvs::Lanes;
using lvs::load;
using lvs::store;

}  // namespace

// features and result: (height, width, channels), displacement: (2, height, width), x and y in
// positions; channels a multiple of 8.
extern "C" void lvs_warp(const float* features, const float* displacement, float* result,
                         int height, int width, int channels, int threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int i = 0; i < height; ++i) {
    for (int j = 0; j < width; ++j) {
      const int64_t at = int64_t(i) * width + j;
      const Between x(float(j) + displacement[at], width);
      const Between y(float(i) + displacement[int64_t(height) * width + at], height);
      const float* top = features + int64_t(y.first) * width * channels;
      const float* bottom = features + int64_t(y.second) * width * channels;
      const int64_t left = int64_t(x.first) * channels, right = int64_t(x.second) * channels;
      for (int c = 0; c < channels; c += kLanes) {
        const Lanes a = load<Lanes>(top + left + c), b = load<Lanes>(top + right + c);
        const Lanes d = load<Lanes>(bottom + left + c), e = load<Lanes>(bottom + right + c);
        const Lanes above = a + x.weight * (b - a), below = d + x.weight * (e - d);
        store(result + at * channels + c, above + y.weight * (below - above));
      }
    }
  }
}
