// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Labels moved to where things will be (lvs_ros/pipeline/forecast.py).
#include <cmath>
#include <cstdint>
#include <vector>

#include "between.h"
#include "vectors.h"

// motion: (2, rows, columns), where the content of each position was one frame before; mask and
// confidence: (height, width), confidence null for none -> moved_mask, moved_confidence: each pixel
// from where it will have come from in `ahead` frames, of outside the border and no confidence.
extern "C" void lvs_look_ahead(const float* motion, const uint8_t* mask, const uint8_t* confidence,
                               uint8_t* moved_mask, uint8_t* moved_confidence, int rows,
                               int columns, int height, int width, float ahead, int steps,
                               int threads) {
  const int64_t plane = int64_t(rows) * columns, wide = int64_t(rows) * width;
  const float scale_x = float(width) / float(columns), scale_y = float(height) / float(rows);
  std::vector<Between> across;    // where a column of pixels is between those of positions
  for (int j = 0; j < width; ++j) {
    across.emplace_back((float(j) + 0.5f) / scale_x - 0.5f, columns);
  }
  // Where pixels of the rows of positions come from, in pixels.
  thread_local std::vector<float> own;
  float* const sources = lvs::room(own, 2 * wide);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> line_x(columns), line_y(columns);
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
        line_x[j] = scale_x * x, line_y[j] = scale_y * y;
      }
      float* x = &sources[int64_t(i) * width];
      for (int j = 0; j < width; ++j) x[j] = across[j].of(line_x.data()) + float(j);
      for (int j = 0; j < width; ++j) x[wide + j] = across[j].of(line_y.data());
    }
    std::vector<int> source(width);
    const float last_x = float(width - 1), last_y = float(height - 1);
#pragma omp for schedule(static)
    for (int i = 0; i < height; ++i) {
      const Between row((float(i) + 0.5f) / scale_y - 0.5f, rows);
      const float* above = &sources[int64_t(row.first) * width];
      const float* below = &sources[int64_t(row.second) * width];
      for (int j = 0; j < width; ++j) {
        const float x = above[j] + row.weight * (below[j] - above[j]);
        const float y = float(i) + above[wide + j] +
                        row.weight * (below[wide + j] - above[wide + j]);
        // What is not a number goes to the border, too.
        const float inside_x = x > 0.0f ? (x < last_x ? x : last_x) : 0.0f;
        const float inside_y = y > 0.0f ? (y < last_y ? y : last_y) : 0.0f;
        const int at = int(inside_y + 0.5f) * width + int(inside_x + 0.5f);
        const bool inside = std::fabs(x - inside_x) < 0.5f && std::fabs(y - inside_y) < 0.5f;
        source[j] = inside ? at : ~at;
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
