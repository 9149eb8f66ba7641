// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Bilinear upsampling of logits and the best class of every pixel, in one pass: the upsampled
// logits never exist (lvs_ros/ops/label_map.py).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "vectors.h"

namespace {

using lvs::kLanes;
using lvs::Lanes;
using lvs::load;

typedef int32_t Classes __attribute__((vector_size(kLanes * sizeof(int32_t))));
typedef uint8_t Labels __attribute__((vector_size(kLanes)));

// Where the pixels of one dimension lie between the positions of the logits: pixels from begin[k]
// to begin[k + 1] - 1 are between positions k and k + 1, weight[pixel] of the way.
struct Axis {
  std::vector<int> begin;
  std::vector<float> weight;

  // Pixel p is at position (p + shift) * scale - shift; outside counts the border.
  Axis(int positions, int pixels, float scale, float shift)
      : begin(positions + 1, pixels), weight(pixels + kLanes) {
    int next = 0;
    for (int pixel = 0; pixel < pixels; ++pixel) {
      const float source = std::clamp((float(pixel) + shift) * scale - shift, 0.0f,
                                      float(positions - 1));
      const int position = int(source);
      for (; next <= position; ++next) begin[next] = pixel;
      weight[pixel] = source - float(position);
    }
  }
};

// The labels of the pixels between two positions of a row, kLanes at a time.
void label(const float* here, const float* there, int classes, const float* weight, int count,
           uint8_t* labels) {
  for (int start = 0; start < count; start += kLanes) {
    const Lanes w = load<Lanes>(weight + start);
    Lanes best = here[0] + w * (there[0] - here[0]);
    Classes winner = {};
    for (int c = 1; c < classes; ++c) {
      const Lanes value = here[c] + w * (there[c] - here[c]);
      const Classes better = value > best;
      winner = better ? Classes{} + c : winner;
      best = better ? value : best;
    }
    const Labels bytes = __builtin_convertvector(winner, Labels);
    std::memcpy(labels + start, &bytes, std::min(kLanes, count - start));
  }
}

}  // namespace

// logits: (height, width, classes) -> mask: (mask_height, mask_width); at most 255 classes, of
// equal ones the first. The scales are positions a pixel; shift is 0 with aligned corners, else 0.5.
extern "C" void lvs_label_map(const float* logits, uint8_t* mask, int height, int width,
                              int classes, int mask_height, int mask_width, float row_scale,
                              float column_scale, float shift, int threads) {
  const Axis rows(height, mask_height, row_scale, shift);
  const Axis columns(width, mask_width, column_scale, shift);
  const int64_t row_size = int64_t(width) * classes;
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> between(row_size);
#pragma omp for schedule(dynamic)
    for (int k = 0; k < height; ++k) {
      const float* above = logits + k * row_size;
      const float* below = logits + std::min(k + 1, height - 1) * row_size;
      for (int i = rows.begin[k]; i < rows.begin[k + 1]; ++i) {
        for (int64_t n = 0; n < row_size; ++n) {
          between[n] = above[n] + rows.weight[i] * (below[n] - above[n]);
        }
        for (int j = 0; j < width; ++j) {
          const int first = columns.begin[j];
          label(&between[int64_t(j) * classes],
                &between[int64_t(std::min(j + 1, width - 1)) * classes], classes,
                &columns.weight[first], columns.begin[j + 1] - first,
                mask + int64_t(i) * mask_width + first);
        }
      }
    }
  }
}
