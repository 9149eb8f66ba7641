// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// One row of a convolution that is computed as it is written down: any size of the kernel and any
// stride. In channels-last order, what a row of the kernel sees is one run of values.
#ifndef LVS_ROS__NATIVE__ROWS_H_
#define LVS_ROS__NATIVE__ROWS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "panel.h"

namespace lvs {

struct Shape {
  int height, width, channels_in, channels_out, kernel, stride, padding;

  int rows() const { return (height + 2 * padding - kernel) / stride + 1; }
  int columns() const { return (width + 2 * padding - kernel) / stride + 1; }
  int groups() const { return divide(columns(), kRows); }    // of pixels in a row
  int run() const { return kernel * channels_in; }           // what a row of the kernel sees
  // Values of a line that the pixels of all groups see, those beyond the last column, too.
  int64_t line() const {
    return (int64_t(groups() * kRows - 1) * stride + kernel) * channels_in;
  }
};

// A line of the image with zeros around it; zeros alone above and below the image.
//
// read(count, to): writes the first values of the line.
template <class Read>
inline void read_line(const Shape& shape, int i, const Read& read, float* line) {
  if (i < 0 || i >= shape.height) {
    std::fill_n(line, shape.line(), 0.0f);
    return;
  }
  const int64_t before = int64_t(shape.padding) * shape.channels_in;
  const int64_t count =
      std::min(int64_t(shape.width) * shape.channels_in, shape.line() - before);
  std::fill_n(line, before, 0.0f);
  read(count, line + before);
  std::fill(line + before + count, line + shape.line(), 0.0f);
}

// Finishes the sums of a group's pixels and a panel's channels, as many as there are.
inline void write(const Sums& sums, const Shape& shape, const Finish& finish, int64_t first,
                  int pixels, int channel, float* y) {
  float all[kRows][kPanel];
  std::memcpy(all, &sums, sizeof all);
  for (int r = 0; r < pixels; ++r) {
    const int64_t at = first + int64_t(r) * shape.channels_out + channel;
    const int channels = std::min(kPanel, shape.channels_out - channel);
    int c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      const Lanes sum = load<Lanes>(all[r] + c);
      store(y + at + c, finish.apply(sum, at + c, channel + c));
    }
    for (; c < channels; ++c) y[at + c] = finish.apply(all[r][c], at + c, channel + c);
  }
}

// A row of the result, which begins at y[at].
//
// line_of(k): the line of the image, with its padding, that row k of the kernel sees.
template <class LineOf>
inline void compute_row(const LineOf& line_of, const Shape& shape, const float* weights,
                        const Finish& finish, int64_t at, float* y) {
  const int run = shape.run(), columns = shape.columns();
  const int64_t pitch = int64_t(shape.stride) * shape.channels_in;
  const int64_t panel_size = int64_t(shape.kernel) * run * kPanel;
  for (int channel = 0; channel < shape.channels_out; channel += kPanel) {
    const float* panel = weights + channel / kPanel * panel_size;
    for (int pixel = 0; pixel < columns; pixel += kRows) {
      Sums sums;
      for (int k = 0; k < shape.kernel; ++k) {
        multiply(line_of(k) + pixel * pitch, pitch, run, panel + int64_t(k) * run * kPanel, sums);
      }
      write(sums, shape, finish, at + int64_t(pixel) * shape.channels_out,
            std::min(kRows, columns - pixel), channel, y);
    }
  }
}

}  // namespace lvs

#endif  // LVS_ROS__NATIVE__ROWS_H_
