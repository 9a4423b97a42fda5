// The mask on which a group of points mainly lies in a view.
#pragma once
#include <algorithm>
#include <cstdint>

struct Dominance {
  float least;  // visible points that a view must have of the group to be heard ...
  float share;  // ... and the share of them on one mask
  float full;   // visible points from which on the view counts wholly
};

// Of columns first .. end - 1 of a row of counts, the first being of unlabelled points: the largest, -1 = undecided or
// the unlabelled one, and its weight. Of equals the first wins.
inline void dominant_mask(const float* row, int64_t first, int64_t end, const Dominance& rule, int32_t* dominant,
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
