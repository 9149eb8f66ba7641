// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Linear interpolation along one side of an image.
#pragma once

#include <algorithm>

namespace {

// Two neighbours of a coordinate, and the weight of the second; outside counts the border.
struct Between {
  int first, second;
  float weight;

  Between(float coordinate, int size) {
    // Written so that what is not a number becomes the border, too.
    const float last = float(size - 1);
    const float inside = coordinate > 0.0f ? std::min(coordinate, last) : 0.0f;
    first = int(inside);
    second = std::min(first + 1, size - 1);
    weight = inside - float(first);
  }

  float of(const float* values) const {
    return values[first] + weight * (values[second] - values[first]);
  }
};

}  // namespace
