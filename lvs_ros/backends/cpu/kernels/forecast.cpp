// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Labels moved to where things will be (lvs_ros/pipeline/forecast.py).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "between.h"

// motion: (2, rows, columns), where the content of each position was one frame before; mask and
// confidence: (height, width), confidence null for none -> moved_mask, moved_confidence: each pixel
// from where it will have come from in `ahead` frames, of outside the border and no confidence.
extern "C" void lvs_look_ahead(const float* motion, const uint8_t* mask, const uint8_t* confidence,
                               uint8_t* moved_mask, uint8_t* moved_confidence, int rows,
                               int columns, int height, int width, float ahead, int steps,
                               int threads) {
  const int64_t plane = int64_t(rows) * columns;
  const float scale_x = float(width) / float(columns), scale_y = float(height) / float(rows);
  std::vector<float> sources(2 * plane);    // in pixels
  std::vector<int> left(width), right(width);
  std::vector<float> weight(width);
  for (int j = 0; j < width; ++j) {
    const Between column((float(j) + 0.5f) / scale_x - 0.5f, columns);
    left[j] = column.first, right[j] = column.second, weight[j] = column.weight;
  }
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        const int64_t at = int64_t(i) * columns + j;
        float x = ahead * motion[at], y = ahead * motion[plane + at];
        for (int step = 0; step < steps; ++step) {
          const Between column(float(j) + x, columns), row(float(i) + y, rows);
          const auto read = [&](const float* values) {
            const float above = column.of(values + int64_t(row.first) * columns);
            const float below = column.of(values + int64_t(row.second) * columns);
            return ahead * (above + row.weight * (below - above));
          };
          x = read(motion), y = read(motion + plane);
        }
        sources[at] = scale_x * x;
        sources[plane + at] = scale_y * y;
      }
    }
    std::vector<float> line_x(columns), line_y(columns);
    std::vector<int> source(width);
#pragma omp for schedule(static)
    for (int i = 0; i < height; ++i) {
      const Between row((float(i) + 0.5f) / scale_y - 0.5f, rows);
      const float* above = &sources[int64_t(row.first) * columns];
      const float* below = &sources[int64_t(row.second) * columns];
      for (int j = 0; j < columns; ++j) {
        line_x[j] = above[j] + row.weight * (below[j] - above[j]);
        line_y[j] = above[plane + j] + row.weight * (below[plane + j] - above[plane + j]);
      }
      const float last_x = float(width - 1), last_y = float(height - 1);
      for (int j = 0; j < width; ++j) {
        const int l = left[j], r = right[j];
        const float x = float(j) + line_x[l] + weight[j] * (line_x[r] - line_x[l]);
        const float y = float(i) + line_y[l] + weight[j] * (line_y[r] - line_y[l]);
        const float inside_x = std::min(std::max(x, 0.0f), last_x);
        const float inside_y = std::min(std::max(y, 0.0f), last_y);
        const int at = int(inside_y + 0.5f) * width + int(inside_x + 0.5f);
        const bool outside = std::fabs(x - inside_x) >= 0.5f || std::fabs(y - inside_y) >= 0.5f;
        source[j] = outside ? ~at : at;
      }
      const int64_t to = int64_t(i) * width;
      for (int j = 0; j < width; ++j) {
        moved_mask[to + j] = mask[source[j] < 0 ? ~source[j] : source[j]];
      }
      for (int j = 0; j < width && confidence != nullptr; ++j) {
        moved_confidence[to + j] = source[j] < 0 ? 0 : confidence[source[j]];
      }
    }
  }
}
