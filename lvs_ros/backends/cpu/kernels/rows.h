// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// One row of a convolution that is computed as it is written down: any size of the kernel, any
// stride, any dilation. In channels-last order, what a row of the kernel sees is one run of values,
// or with a dilation one run a position of the kernel.
#ifndef LVS_ROS__BACKENDS__CPU__KERNELS__ROWS_H_
#define LVS_ROS__BACKENDS__CPU__KERNELS__ROWS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "panel.h"

namespace lvs {

struct Shape {
  int height, width, channels_in, channels_out, kernel, stride, padding, dilation;

  int reach() const { return dilation * (kernel - 1) + 1; }    // pixels from end to end
  int rows() const { return (height + 2 * padding - reach()) / stride + 1; }
  int columns() const { return (width + 2 * padding - reach()) / stride + 1; }
  // Runs of values that a row of the kernel sees, the size of each, and the way to the next.
  int runs() const { return dilation == 1 ? 1 : kernel; }
  int run() const { return dilation == 1 ? kernel * channels_in : channels_in; }
  int64_t next_run() const { return int64_t(dilation) * channels_in; }
  // From what a pixel of the result sees to what the next one does.
  int64_t pitch() const { return int64_t(stride) * channels_in; }
  // Values of a line that so many pixels see.
  int64_t line(int pixels) const {
    return (int64_t(pixels - 1) * stride + reach()) * channels_in;
  }
};

// A line of the image with zeros around it, `size` values in all; zeros alone above and below it.
//
// read(count, to): writes the first values of the line.
template <class Value, class Read>
inline void read_line(const Shape& shape, int i, int64_t size, const Read& read, Value* line) {
  if (i < 0 || i >= shape.height) {
    std::fill_n(line, size, Value{});
    return;
  }
  const int64_t before = int64_t(shape.padding) * shape.channels_in;
  const int64_t count = std::min(int64_t(shape.width) * shape.channels_in, size - before);
  std::fill_n(line, before, Value{});
  read(count, line + before);
  std::fill(line + before + count, line + size, Value{});
}

// Finishes the sums of some pixels of a row, `width` channels each, as many as there are.
//
// first: where the first of the pixels begins in the result y.
inline void write_sums(const float* sums, int width, const Shape& shape, const Finish& finish,
                       int64_t first, int pixels, int channel, float* y) {
  const int channels = std::min(width, shape.channels_out - channel);
  for (int r = 0; r < pixels; ++r, sums += width) {
    const int64_t at = first + int64_t(r) * shape.channels_out + channel;
    int c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      store(y + at + c, finish.apply(load<Lanes>(sums + c), at + c, channel + c));
    }
    for (; c < channels; ++c) y[at + c] = finish.apply(sums[c], at + c, channel + c);
  }
}

// How a row is computed with float32 alone.
struct Float32 {
  typedef float Value;
  struct Unit {};    // of the processor, that must be ready for it

  // Values of a line that the pixels of all groups see, those beyond the last column, too.
  static int64_t line(const Shape& shape) {
    return shape.line(divide(shape.columns(), kRows) * kRows);
  }

  static void convert(const float* from, int64_t count, float* to) {
    std::memcpy(to, from, count * sizeof(float));
  }

  // A row of the result, which begins at y[at].
  //
  // line_of(k): the line of the image, with its padding, that row k of the kernel sees.
  template <class LineOf>
  static void compute_row(const LineOf& line_of, const Shape& shape, const float* weights,
                          const Finish& finish, int64_t at, float* y) {
    const int columns = shape.columns();
    const int64_t panel_size = int64_t(shape.kernel) * shape.runs() * shape.run() * kPanel;
    for (int channel = 0; channel < shape.channels_out; channel += kPanel) {
      const float* panel = weights + channel / kPanel * panel_size;
      for (int pixel = 0; pixel < columns; pixel += kRows) {
        float sums[kRows * kPanel];
        multiply_run_by_run(line_of, shape, pixel, panel, sums);
        write_sums(sums, kPanel, shape, finish, at + int64_t(pixel) * shape.channels_out,
                   std::min(kRows, columns - pixel), channel, y);
      }
    }
  }

 private:
  // The sums of kRows pixels by a panel. Not inlined: with more around it, GCC runs out of
  // registers for them.
  template <class LineOf>
  [[gnu::noinline]] static void multiply_run_by_run(const LineOf& line_of, const Shape& shape,
                                                    int pixel, const float* weights, float* to) {
    const int run = shape.run(), runs = shape.runs();
    const int64_t pitch = shape.pitch(), next_run = shape.next_run();
    PanelSums sums;
    for (int k = 0; k < shape.kernel; ++k) {
      const float* line = line_of(k) + pixel * pitch;
      for (int n = 0; n < runs; ++n, weights += int64_t(run) * kPanel) {
        multiply(line + n * next_run, pitch, run, weights, sums);
      }
    }
    sums.store_to(to, kPanel);
  }
};

}  // namespace lvs

#endif  // LVS_ROS__BACKENDS__CPU__KERNELS__ROWS_H_
