// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// The end of the deviation net: a linear layer on the mean of all positions
// (lvs_ros/model/deviation_net.py).
#include <cstddef>
#include <vector>

// features: (positions, channels), weight: (channels), bias and result: (1).
extern "C" void lvs_linear_of_mean(const float* features, const float* weight, const float* bias,
                                   float* result, int positions, int channels) {
  std::vector<double> sums(channels);    // double, for there may be many positions
  for (int position = 0; position < positions; ++position) {
    const float* row = features + std::ptrdiff_t(position) * channels;
    for (int c = 0; c < channels; ++c) sums[c] += row[c];
  }
  double sum = 0.0;
  for (int c = 0; c < channels; ++c) sum += weight[c] * sums[c];
  *result = float(sum / positions + *bias);
}
