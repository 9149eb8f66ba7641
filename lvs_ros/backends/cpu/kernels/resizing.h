// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Resizing of images and flows: averaging of areas, bilinear enlargement, and the one after the
// other.
#ifndef LVS_ROS__BACKENDS__CPU__KERNELS__RESIZING_H_
#define LVS_ROS__BACKENDS__CPU__KERNELS__RESIZING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "vectors.h"

namespace lvs {

constexpr int kFour = 4;
typedef float Four __attribute__((vector_size(kFour * sizeof(float))));

inline float sum(Four four) { return (four[0] + four[2]) + (four[1] + four[3]); }

// Weights that make `results` values of one dimension out of `values`: these are enlarged
// bilinearly to `pixels`, of which each result is the mean of an equal part.
struct Axis {
  int values, results, taps = 0;    // taps: values for one result, rounded up to whole Fours
  std::vector<int> first;           // of these, for each result
  std::vector<float> weights;       // (results, taps)

  Axis(int values, int pixels, int results)
      : values(values), results(results), first(results, values) {
    for (int k = 0; k < results; ++k) {
      spread(pixels, k, [&](int value, double) {
        first[k] = std::min(first[k], value);
        taps = std::max(taps, (value - first[k]) / kFour * kFour + kFour);
      });
    }
    weights.resize(size_t(results) * taps);
    for (int k = 0; k < results; ++k) {
      spread(pixels, k, [&](int value, double weight) {
        weights[size_t(k) * taps + value - first[k]] += float(weight);
      });
    }
  }

  // Calls add(value, weight) for what result k is made of, in ascending order.
  template <class Add>
  void spread(int pixels, int k, const Add& add) const {
    const double size = double(pixels) / results, begin = k * size, end = begin + size;
    for (int pixel = int(begin); pixel < std::min(pixels, int(std::ceil(end))); ++pixel) {
      const double share = (std::min(end, pixel + 1.0) - std::max(begin, double(pixel))) / size;
      const double source =
          std::clamp((pixel + 0.5) * values / pixels - 0.5, 0.0, double(values - 1));
      const int value = int(source);
      const double second = share * (source - value);
      add(value, share - second);
      if (second > 0.0) add(value + 1, second);
    }
  }
};

// Row i of a plane that is resized in both dimensions; write(j, value) takes its values.
template <class Value, class Write>
void resize_row(const Value* plane, int64_t stride, const Axis& rows, const Axis& columns, int i,
                const Write& write) {
  thread_local std::vector<float> scratch;
  float* line = room(scratch, columns.values + columns.taps);
  for (int t = 0; t < rows.taps; t += kFour) {
    const float* weights = &rows.weights[i * rows.taps + t];
    const auto row = [&](int n) {    // beyond the last one, weights are 0
      return plane + std::min(rows.first[i] + t + n, rows.values - 1) * stride;
    };
    const Value *a = row(0), *b = row(1), *c = row(2), *d = row(3);
    for (int j = 0; j < columns.values; ++j) {
      const float sum = weights[0] * float(a[j]) + weights[1] * float(b[j]) +
                        weights[2] * float(c[j]) + weights[3] * float(d[j]);
      line[j] = t == 0 ? sum : line[j] + sum;
    }
  }
  std::fill_n(line + columns.values, columns.taps, 0.0f);
  for (int j = 0; j < columns.results; ++j) {
    Four sums = {};
    for (int t = 0; t < columns.taps; t += kFour) {
      sums += load<Four>(&columns.weights[j * columns.taps + t]) *
              load<Four>(line + columns.first[j] + t);
    }
    write(j, sum(sums));
  }
}

}  // namespace lvs

#endif  // LVS_ROS__BACKENDS__CPU__KERNELS__RESIZING_H_
