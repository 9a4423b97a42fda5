// Counting over what all points see in all views: tens of millions of (view, point) pairs, each looked at once.
// A task owns whole views or whole points, and counts are integers: results do not depend on the number of threads.
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <vector>

#include "abi.h"

namespace {

constexpr int64_t BLOCK = 256;  // points whose votes stay in cache

// Adds one view's share to lost[s] and seen[s]: `row` is the view's part of mask, `table` scratch of groups x masks.
void view_impurity(const int32_t* row, const int64_t* rows, int64_t count, int64_t masks, int64_t before,
                   const int64_t* owner, int64_t groups, int32_t* table, int64_t* lost, int64_t* seen) {
  std::fill_n(table, groups * masks, 0);
  for (int64_t i = 0; i < count; i++)
    if (const int32_t m = row[rows[i]]; m > 0) table[owner[i] * masks + m - 1 - before]++;
  for (int64_t s = 0; s < groups; s++) {
    int64_t total = 0;
    int32_t top = 0;
    for (const int32_t *c = table + s * masks, *end = c + masks; c < end; c++) total += *c, top = std::max(top, *c);
    lost[s] += total - top;
    seen[s] += total;
  }
}

struct Dominance {
  float least;  // visible points that a view must have of the group to be heard ...
  float share;  // ... and the share of them on one mask
  float full;   // visible points from which on the view counts wholly
};

// Of columns first .. end - 1 of a row of counts, the first being of unlabelled points: the largest, -1 = undecided or
// the unlabelled one, and its weight. Of equals the first wins.
void dominant_mask(const float* row, int64_t first, int64_t end, const Dominance& rule, int32_t* dominant,
                   float* weight) {
  float total = 0.f, top = 0.f;
  int64_t best = first;
  for (int64_t c = first; c < end; c++) {
    total += row[c];
    if (row[c] > top) top = row[c], best = c;
  }
  const bool decided = total >= rule.least && top >= rule.share * total && best != first;
  *dominant = decided ? static_cast<int32_t>(best) : -1;
  *weight = decided ? std::min(1.f, total / rule.full) : 0.f;
}

}  // namespace

extern "C" {

int ig_mask_counts(const int32_t* mask, int64_t views, int64_t points, const int32_t* owner, const int64_t* first,
                   const int64_t* before, int64_t columns, float* count, int32_t threads) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t k = 0; k < views; k++) {
    const int32_t* row = mask + k * points;
    for (int64_t i = 0; i < points; i++) {
      if (row[i] < 0 || owner[i] < 0) continue;
      count[int64_t(owner[i]) * columns + first[k] + (row[i] ? row[i] - before[k] : 0)] += 1.f;
    }
  }
  return 0;
}

int ig_impurity(const int32_t* mask, int64_t views, int64_t points, const int64_t* rows, int64_t count,
                const int64_t* owner, int64_t groups, const int64_t* masks, const int64_t* before, int64_t* lost,
                int64_t* seen, int32_t threads) try {
  const int64_t most = views ? *std::max_element(masks, masks + views) : 0;
  std::vector<int32_t> tables(threads * groups * most);
  std::vector<int64_t> sums(threads * 2 * groups, 0);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t k = 0; k < views; k++) {
    const int64_t t = omp_get_thread_num();
    int64_t* own = sums.data() + t * 2 * groups;
    view_impurity(mask + k * points, rows, count, masks[k], before[k], owner, groups, tables.data() + t * groups * most,
                  own, own + groups);
  }
  for (int64_t t = 0; t < threads; t++)
    for (int64_t s = 0; s < groups; s++) lost[s] += sums[t * 2 * groups + s], seen[s] += sums[(t * 2 + 1) * groups + s];
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

int ig_dominant_masks(const float* count, int64_t rows, int64_t columns, const int64_t* first, const int64_t* end,
                      int64_t views, float least, float dominance, float full, int32_t* dominant, float* weight,
                      int32_t threads) {
  const Dominance rule{least, dominance, full};
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t s = 0; s < rows; s++)
    for (int64_t k = 0; k < views; k++)
      dominant_mask(count + s * columns, first[k], end[k], rule, dominant + s * views + k, weight + s * views + k);
  return 0;
}

int ig_tally(const int32_t* mask, int64_t views, int64_t points, const int64_t* rows, int64_t count,
             const int64_t* instance_of, const float* say, int64_t width, float none, float* votes, int32_t threads) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t begin = 0; begin < count; begin += BLOCK)
    for (int64_t k = 0; k < views; k++) {
      const int32_t* row = mask + k * points;
      for (int64_t r = begin; r < std::min(count, begin + BLOCK); r++) {
        const int32_t m = row[rows[r]];  // without branches: what is visible where is as good as random
        votes[r * width + (m > 0 ? instance_of[m] : width - 1)] += m > 0 ? say[m] : m < 0 ? 0.f : none;
      }
    }
  return 0;
}

int ig_shown_on(const int32_t* mask, int64_t views, int64_t points, const uint8_t* chosen, uint8_t* found,
                int32_t threads) {
  constexpr int64_t SHARE = 16384;  // points whose answers stay in cache
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t begin = 0; begin < points; begin += SHARE) {
    const int64_t end = std::min(points, begin + SHARE);
    std::fill(found + begin, found + end, 0);
    for (int64_t k = 0; k < views; k++) {
      const int32_t* row = mask + k * points;
      for (int64_t i = begin; i < end; i++) found[i] |= row[i] > 0 ? chosen[row[i]] : 0;
    }
  }
  return 0;
}

}  // extern "C"
