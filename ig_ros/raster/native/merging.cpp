// Merging touching groups of points two by two, the best edge first, while the witnesses agree that they are one thing.
//
// What the witnesses are and what the numbers of the rule mean is said in ig_ros/instances/merging.py.
#include <cmath>
#include <cstdint>
#include <map>
#include <new>
#include <queue>
#include <tuple>
#include <vector>

#include "dominant.h"

extern "C" {

// Mirrored by merging.py.
struct MergeRule {
  double threshold, feature_gap, feature_trust, feature_share, boundary_trust;
  double goes_on, sharpness, same, same_clarity, alike, unlike, smooth_trust;
  float least, dominance, full;
};

// G groups in K views; all but `count`, `first` and `end` are written to.
struct MergeState {
  double *mass, *mean;            // (G) points, (G, F) features
  const float* count;             // (G, W) points on every column
  int32_t* dominant;              // (G, K) column, -1 = none
  float* weight;                  // (G, K)
  int64_t* group;                 // (G) what a group has become a part of: itself at first
  const int64_t *first, *end;     // (K) columns of each view
  int64_t groups, features, columns, views;
};

}  // extern "C"

namespace {

struct Contact {
  double smooth = 0, length = 0;  // pairs of points over which the surface goes on, and all across
};

// Order: best score first, of equals the lowest numbers.
using Edge = std::tuple<double, int64_t, int64_t, int64_t, int64_t>;  // -score, s, t, their versions

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

class Merger {
 public:
  Merger(const MergeRule& rule, const MergeState& state)
      : rule_(rule), at_(state), neighbors_(state.groups), version_(state.groups, 0), merged_(state.groups) {}

  void touch(int64_t s, int64_t t, Contact contact) { neighbors_[s][t] = neighbors_[t][s] = contact; }

  void judge(int64_t s, int64_t t, Contact contact) {
    const double value = score(s, t, contact);
    if (value > rule_.threshold) edges_.emplace(-value, s, t, version_[s], version_[t]);
  }

  void run() {
    while (!edges_.empty()) {
      const auto [score, s, t, version_s, version_t] = edges_.top();
      edges_.pop();
      if (version_[s] == version_s && version_[t] == version_t) merge(s, t);
    }
  }

 private:
  double score(int64_t s, int64_t t, Contact contact) const {
    double same = 0, both = 0;
    for (int64_t k = 0; k < at_.views; k++) {
      const int64_t i = s * at_.views + k, j = t * at_.views + k;
      const float weight = std::min(at_.weight[i], at_.weight[j]);
      both += weight;
      if (at_.dominant[i] == at_.dominant[j]) same += weight;
    }
    double square = 0;
    for (int64_t c = 0; c < at_.features; c++) {
      const double d = at_.mean[t * at_.features + c] - at_.mean[s * at_.features + c];
      square += d * d;
    }
    const double distance = std::sqrt(square), gap = rule_.feature_gap;
    const double exponent = (distance - gap) / (0.25 * gap + 1e-9);
    const double prior = sigmoid(-std::min(30.0, std::max(-30.0, exponent)));
    const double said = rule_.feature_trust + rule_.feature_share * clarity(distance, at_.mass[s], at_.mass[t]) * both;
    const double share = (contact.smooth + 2 * rule_.goes_on) / (contact.length + 2);
    const double alike = sigmoid(rule_.sharpness * (share - rule_.goes_on));
    const double trust = rule_.boundary_trust * (alike < 0.5 ? 1.0 : rule_.smooth_trust) * (both + 1);
    return (same + said * prior + trust * alike) / std::max(both + said + trust, 1e-9);
  }

  double clarity(double distance, double size, double other) const {
    if (distance < rule_.feature_gap)
      return rule_.same_clarity * std::max(0.0, 1 - distance / (rule_.same * rule_.feature_gap + 1e-9));
    const double ratio = std::max(size / other, other / size);
    return std::min(1.0, std::max(0.0, std::log(ratio / rule_.alike) / std::log(rule_.unlike / rule_.alike)));
  }

  // t becomes part of s.
  void merge(int64_t s, int64_t t) {
    const double mass = at_.mass[s] + at_.mass[t];
    for (int64_t c = 0; c < at_.features; c++) {
      double* mean = at_.mean + s * at_.features + c;
      *mean = (at_.mass[s] * *mean + at_.mass[t] * at_.mean[t * at_.features + c]) / mass;
    }
    at_.mass[s] = mass;
    std::vector<float>& row = merged_[s];
    if (row.empty()) row.assign(counted(s), counted(s) + at_.columns);
    const float* taken = counted(t);
    for (int64_t c = 0; c < at_.columns; c++) row[c] += taken[c];
    merged_[t] = {};
    const Dominance rule{rule_.least, rule_.dominance, rule_.full};
    for (int64_t k = 0; k < at_.views; k++)
      dominant_mask(row.data(), at_.first[k], at_.end[k], rule, at_.dominant + s * at_.views + k,
                    at_.weight + s * at_.views + k);
    at_.group[t] = s;
    version_[s]++;
    version_[t] = -1;
    take_over(s, t);
    for (const auto& [other, contact] : neighbors_[s]) judge(s, other, contact);
  }

  // (W) points of a group on every column.
  const float* counted(int64_t g) const { return merged_[g].empty() ? at_.count + g * at_.columns : merged_[g].data(); }

  // The contacts of t become those of s.
  void take_over(int64_t s, int64_t t) {
    neighbors_[s].erase(t);
    for (const auto& [other, contact] : neighbors_[t]) {
      if (other == s) continue;
      neighbors_[other].erase(t);
      Contact& mine = neighbors_[s][other];
      mine.smooth += contact.smooth;
      mine.length += contact.length;
      neighbors_[other][s] = mine;
    }
    neighbors_[t].clear();
  }

  const MergeRule& rule_;
  const MergeState& at_;
  std::vector<std::map<int64_t, Contact>> neighbors_;
  std::vector<int64_t> version_;  // counts up with every merge; -1 once taken over
  std::vector<std::vector<float>> merged_;  // (W) counts of those that took over others; most never do
  std::priority_queue<Edge, std::vector<Edge>, std::greater<Edge>> edges_;
};

}  // namespace

extern "C" {

// pairs (edges, 2) touch with length[e] contacts, smooth[e] of them smooth. Returns 0, or 1 when memory ran out.
int ig_merge(const MergeRule* rule, const MergeState* state, const int64_t* pairs, const double* smooth,
             const double* length, int64_t edges) try {
  Merger merger(*rule, *state);
  for (int64_t e = 0; e < edges; e++) merger.touch(pairs[2 * e], pairs[2 * e + 1], {smooth[e], length[e]});
  for (int64_t e = 0; e < edges; e++) merger.judge(pairs[2 * e], pairs[2 * e + 1], {smooth[e], length[e]});
  merger.run();
  for (int64_t g = 0; g < state->groups; g++)
    while (state->group[g] != state->group[state->group[g]]) state->group[g] = state->group[state->group[g]];
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"
