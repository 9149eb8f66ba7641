// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Optical flow by dense inverse search (Kroeger et al., "Fast optical flow using dense inverse
// search", ECCV 2016), without variational refinement (lvs_ros/pipeline/optical_flow.py).
//
// The parameters, and what the paper leaves open (propagation between neighbours, in stripes; the
// gradients; the rounding of the pyramid), are those of OpenCV's preset ULTRAFAST.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "resizing.h"
#include "vectors.h"

namespace {

using lvs::Axis;
using lvs::Four;
using lvs::kLanes;
using lvs::Lanes;
using lvs::load;
using lvs::store;

constexpr int kPatch = kLanes;         // pixels a side
constexpr int kStride = lvs::kFour;    // from patch to patch
constexpr int kFinest = 4;             // pixels of the image a side of one of the finest level
// Stripes of rows of patches, at most. Vectors do not spread from one to another: each can be
// computed by another thread, and the result is the same whatever their number.
constexpr int kStripes = 8;
constexpr int kSteps = 6;    // of gradient descent, at most, in each of two passes
constexpr float kLeastDeterminant = 1e-3f;

float sum(Lanes lanes) {
  Four halves[2];
  static_assert(sizeof halves == sizeof lanes);
  std::memcpy(halves, &lanes, sizeof lanes);
  return lvs::sum(halves[0] + halves[1]);
}

struct Vector {
  float x, y;
};

// Both images at one size, and the flow between them. The earlier one, `before`, goes on for
// kPatch pixels beyond every border.
struct Level {
  int height, width, stride, wide;    // stride: of all but `before`, which has `wide`
  int patch_rows, patch_columns;
  Axis rows, columns;                 // from the next finer level
  std::vector<float> now, slope_x, slope_y, border, flow_x, flow_y;
  std::vector<Vector> patches;

  Level(int finer_height, int finer_width, int factor)
      : height(finer_height / factor), width(finer_width / factor),
        stride((width + kStride - 1) / kStride * kStride), wide(width + 2 * kPatch),
        patch_rows((height - kPatch) / kStride + 1), patch_columns((width - kPatch) / kStride + 1),
        rows(finer_height, finer_height, height), columns(finer_width, finer_width, width) {
    for (auto* plane : {&now, &slope_x, &slope_y, &flow_x, &flow_y}) {
      plane->resize(size_t(height) * stride);
    }
    border.resize(size_t(height + 2 * kPatch) * wide);
    patches.resize(size_t(patch_rows) * patch_columns);
  }

  int64_t at(int i, int j) const { return int64_t(i) * stride + j; }
  float* before(int i, int j = 0) { return &border[int64_t(i + kPatch) * wide + j + kPatch]; }
};

// What depends on the sizes alone, and the memory for what does not.
struct Plan {
  std::array<int, 4> sizes{};    // of the image and of the result
  std::vector<Level> levels;     // from fine to coarse
  std::vector<Axis> axes;        // rows and columns, from the finest level to the result

  void make(const std::array<int, 4>& wanted) {
    if (sizes == wanted) return;
    const auto [image_height, image_width, height, width] = sizes = wanted;
    levels.assign(1, Level(image_height, image_width, kFinest));
    axes = {Axis(levels[0].height, image_height, height),
            Axis(levels[0].width, image_width, width)};
    // A patch is about a quarter of the coarsest level, or more.
    const double longest = std::max(image_height, image_width) / (4.0 * kPatch * kFinest);
    const int most = int(std::log2(longest) + 0.5);
    const int shortest = std::min(image_height, image_width) / kFinest;
    for (int n = 1; n <= most && shortest >> n >= kPatch; ++n) {
      levels.emplace_back(levels[n - 1].height, levels[n - 1].width, 2);
    }
  }
};

// Row i of the present or the earlier image of a level, by averaging a finer one.
template <class Value>
void shrink_row(const Value* finer, int64_t stride, bool earlier, int i, Level& level) {
  float* row = earlier ? level.before(i) : &level.now[level.at(i, 0)];
  lvs::resize_row(finer, stride, level.rows, level.columns, i,
                  [&](int j, float value) { row[j] = std::nearbyint(value); });
  if (!earlier) return;
  std::fill_n(row - kPatch, kPatch, row[0]);
  std::fill_n(row + level.width, kPatch, row[level.width - 1]);
  const float* all = row - kPatch;
  for (int n = 1; n <= kPatch; ++n) {
    if (i == 0) std::copy_n(all, level.wide, level.before(-n, -kPatch));
    if (i == level.height - 1) std::copy_n(all, level.wide, level.before(i + n, -kPatch));
  }
}

// Row i of the gradients, by Sobel's operator; beyond the border lies the mirror image.
void slope_row(int i, Level& level) {
  const int last = level.width - 1;
  const float* row = &level.now[level.at(i, 0)];
  const float* above = &level.now[level.at(i == 0 ? 1 : i - 1, 0)];
  const float* below = &level.now[level.at(i == level.height - 1 ? i - 1 : i + 1, 0)];
  float* x = &level.slope_x[level.at(i, 0)];
  float* y = &level.slope_y[level.at(i, 0)];
  const auto slope = [&](int left, int j, int right) {
    x[j] = above[right] - above[left] + 2.0f * (row[right] - row[left]) + below[right] -
           below[left];
    y[j] = below[left] - above[left] + 2.0f * (below[j] - above[j]) + below[right] - above[right];
  };
  slope(1, 0, 1);
  for (int j = 1; j < last; ++j) slope(j - 1, j, j + 1);
  slope(last - 1, last, last - 1);
}

// Where the content at (i, j) was, between four pixels of the earlier image.
struct Source {
  const float* at;
  int64_t stride;
  float below, right;    // weights of the lower and of the right pixels

  Source(Level& level, int i, int j, Vector flow) : stride(level.wide) {
    const float y = inside(float(i) + flow.y, level.height);
    const float x = inside(float(j) + flow.x, level.width);
    const float top = std::floor(y), left = std::floor(x);
    at = level.before(int(top), int(left));
    below = y - top;
    right = x - left;
  }

  // Further out, a whole patch sees the same. What is not a number goes there, too.
  static float inside(float coordinate, int size) {
    const float least = float(1 - kPatch);
    return coordinate > least ? std::min(coordinate, float(size - 1)) : least;
  }

  template <class V>
  V row(int r) const {
    return (1.0f - below) * across<V>(r) + below * across<V>(r + 1);
  }

  template <class V>
  V across(int r) const {
    return (1.0f - right) * load<V>(at + r * stride) + right * load<V>(at + r * stride + 1);
  }
};

// How the patch at (i, j) differs from its content in the earlier image, but for the mean.
struct Difference {
  Lanes differences = {}, squares = {};

  Difference(Level& level, int i, int j, Vector flow)
      : Difference(level, i, j, flow, [](int, Lanes) {}) {}

  // see(r, differences): called with each row.
  template <class See>
  Difference(Level& level, int i, int j, Vector flow, const See& see) {
    const Source source(level, i, j, flow);
    const float* now = &level.now[level.at(i, j)];
    lvs::unrolled<kPatch>([&](auto r) LVS_INLINE_LAMBDA {
      const Lanes difference =
          source.template row<Lanes>(r) - load<Lanes>(now + r * level.stride);
      differences += difference;
      squares += difference * difference;
      see(r, difference);
    });
  }

  float mean() const { return sum(differences) / (kPatch * kPatch); }
  float error() const { return sum(squares) - sum(differences) * mean(); }
};

// The vector that gradient descent finds for the patch at (i, j), from `start` on.
Vector descend(Level& level, int i, int j, Vector start) {
  const auto slope_x = [&](int r) { return load<Lanes>(&level.slope_x[level.at(i + r, j)]); };
  const auto slope_y = [&](int r) { return load<Lanes>(&level.slope_y[level.at(i + r, j)]); };
  Lanes xs = {}, ys = {}, xxs = {}, xys = {}, yys = {};
  for (int r = 0; r < kPatch; ++r) {
    const Lanes x = slope_x(r), y = slope_y(r);
    xs += x, ys += y, xxs += x * x, xys += x * y, yys += y * y;
  }
  const float x = sum(xs), y = sum(ys), xx = sum(xxs), xy = sum(xys), yy = sum(yys);
  const float determinant = xx * yy - xy * xy;
  const float inverse =
      1.0f / (std::fabs(determinant) < kLeastDeterminant ? kLeastDeterminant : determinant);
  Vector flow = start;
  float least = HUGE_VALF;
  for (int step = 0; step < kSteps; ++step) {
    Lanes along_x = {}, along_y = {};
    const Difference difference(level, i, j, flow, [&](int r, Lanes row) {
      along_x += row * slope_x(r);
      along_y += row * slope_y(r);
    });
    const float dx = sum(along_x) - difference.mean() * x;
    const float dy = sum(along_y) - difference.mean() * y;
    flow.x -= (yy * dx - xy * dy) * inverse;
    flow.y -= (xx * dy - xy * dx) * inverse;
    const float error = difference.error();
    if (error >= least) break;
    least = error;
  }
  // Further away than a patch is wide, it has found something else.
  return std::hypot(flow.x - start.x, flow.y - start.y) <= kPatch ? flow : start;
}

// Twice the flow of a coarser level where pixel (i, j) is.
Vector enlarged(const Level& coarse, Level& level, int i, int j) {
  const auto source = [](int k, int fine, int size) {
    return std::clamp((float(k) + 0.5f) * float(size) / float(fine) - 0.5f, 0.0f, float(size - 1));
  };
  const float y = source(i, level.height, coarse.height);
  const float x = source(j, level.width, coarse.width);
  const int top = std::min(int(y), coarse.height - 2), left = std::min(int(x), coarse.width - 2);
  const auto read = [&](const std::vector<float>& plane) {
    const float* above = &plane[coarse.at(top, left)];
    const float* below = above + coarse.stride;
    const float across_above = above[0] + (x - float(left)) * (above[1] - above[0]);
    const float across_below = below[0] + (x - float(left)) * (below[1] - below[0]);
    return 2.0f * (across_above + (y - float(top)) * (across_below - across_above));
  };
  return {read(coarse.flow_x), read(coarse.flow_y)};
}

// The vectors of the patches of rows first to last - 1: there from the first to the last patch,
// then back; each begins with its own or a neighbour's vector. coarse: null at the coarsest level.
void search(const Level* coarse, int first, int last, Level& level) {
  const int columns = level.patch_columns;
  for (int direction : {1, -1}) {
    for (int n = 0; n < (last - first) * columns; ++n) {
      const int p = direction > 0 ? first * columns + n : last * columns - 1 - n;
      const int i = p / columns * kStride, j = p % columns * kStride;
      Vector& best = level.patches[p];
      if (direction > 0) {
        best = coarse ? enlarged(*coarse, level, i + kPatch / 2, j + kPatch / 2) : Vector{0, 0};
      }
      float least = Difference(level, i, j, best).error();
      const auto attempt = [&](Vector candidate) {
        const float error = Difference(level, i, j, candidate).error();
        if (error < least) least = error, best = candidate;
      };
      if (n % columns > 0) attempt(level.patches[p - direction]);
      if (n >= columns) attempt(level.patches[p - direction * columns]);
      best = descend(level, i, j, best);
    }
  }
}

// The flow of kStride rows of pixels: the mean of the patches that cover them, weighted by how
// well the pixels fit. Beyond the last patch it counts alone.
void densify(int band, Level& level) {
  const auto first = [](int k, int patches) { return std::clamp(k - 1, 0, patches - 1); };
  const auto last = [](int k, int patches) { return std::min(k, patches - 1); };
  const int top = band * kStride, count = std::min(kStride, level.height - top);
  for (int left = 0; left < level.width; left += kStride) {
    Four x[kStride] = {}, y[kStride] = {}, weights[kStride] = {};
    const int k = left / kStride, columns = level.patch_columns;
    for (int m = first(band, level.patch_rows); m <= last(band, level.patch_rows); ++m) {
      for (int n = first(k, columns); n <= last(k, columns); ++n) {
        const Vector flow = level.patches[m * columns + n];
        const Source source(level, top, left, flow);
        for (int r = 0; r < count; ++r) {
          const Four difference =
              source.row<Four>(r) - load<Four>(&level.now[level.at(top + r, left)]);
          const Four size = difference < 0.0f ? -difference : difference;
          const Four weight = 1.0f / (size > 1.0f ? size : Four{} + 1.0f);
          x[r] += weight * flow.x, y[r] += weight * flow.y, weights[r] += weight;
        }
      }
    }
    for (int r = 0; r < count; ++r) {
      store(&level.flow_x[level.at(top + r, left)], x[r] / weights[r]);
      store(&level.flow_y[level.at(top + r, left)], y[r] / weights[r]);
    }
  }
}

}  // namespace

// now and before: (image_height, image_width) uint8, at least 32 a side -> displacement: (2,
// height, width), x and y in positions of the result, no more of them than the image has pixels:
// the content that is at (x, y) now was at (x, y) + displacement before.
extern "C" void lvs_inverse_search(const uint8_t* now, const uint8_t* before, float* displacement,
                                   int image_height, int image_width, int height, int width,
                                   int threads) {
  thread_local Plan own;
  own.make({image_height, image_width, height, width});
  Plan& plan = own;    // the calling thread's, for its team
  const int count = int(plan.levels.size());
#pragma omp parallel num_threads(threads)
  {
    for (int n = 0; n < count; ++n) {
      Level& level = plan.levels[n];
#pragma omp for schedule(static)
      for (int k = 0; k < 2 * level.height; ++k) {
        const bool earlier = k >= level.height;
        const int i = earlier ? k - level.height : k;
        if (n == 0) {
          shrink_row(earlier ? before : now, image_width, earlier, i, level);
        } else {
          Level& finer = plan.levels[n - 1];
          shrink_row(earlier ? finer.before(0) : finer.now.data(),
                     earlier ? finer.wide : finer.stride, earlier, i, level);
        }
      }
    }
    for (Level& level : plan.levels) {
#pragma omp for schedule(static)
      for (int i = 0; i < level.height; ++i) slope_row(i, level);
    }
    for (int n = count - 1; n >= 0; --n) {
      Level& level = plan.levels[n];
      const int rows = (level.patch_rows + kStripes - 1) / kStripes;    // of a stripe
#pragma omp for schedule(dynamic)
      for (int first = 0; first < level.patch_rows; first += rows) {
        search(n + 1 < count ? &plan.levels[n + 1] : nullptr, first,
               std::min(first + rows, level.patch_rows), level);
      }
#pragma omp for schedule(static)
      for (int band = 0; band < (level.height + kStride - 1) / kStride; ++band) {
        densify(band, level);
      }
    }
    const Level& level = plan.levels[0];
    const float scale_x = float(kFinest * width) / float(image_width);
    const float scale_y = float(kFinest * height) / float(image_height);
#pragma omp for schedule(static)
    for (int k = 0; k < 2 * height; ++k) {
      const float* flow = k < height ? level.flow_x.data() : level.flow_y.data();
      const float scale = k < height ? scale_x : scale_y;
      float* row = displacement + int64_t(k) * width;
      lvs::resize_row(flow, level.stride, plan.axes[0], plan.axes[1], k % height,
                      [&](int j, float value) { row[j] = scale * value; });
    }
  }
}
