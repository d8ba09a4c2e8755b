#pragma once
#include <cotangent/autograd/graph/graph.hpp>

namespace cotangent {

/// While it lives, the ops that this thread records remember in which module they were, and which of its parameters
/// they took: a Graph shows it, also later. For one step: it holds on to all that it sees.
///
/// What a forward pass had recorded before it threw is here too:
///
///     WatchGraph watch;
///     try {
///       model(x);
///     } catch (const Error& error) {
///       puts(to_string(watch.graph()).c_str());
///     }
class WatchGraph {
 public:
  WatchGraph();
  ~WatchGraph();
  WatchGraph(const WatchGraph&) = delete;
  WatchGraph& operator=(const WatchGraph&) = delete;

  /// All that was recorded since, with what it depends on.
  Graph graph() const;

 private:
  struct Seen;
  Seen* seen_;
};

}  // namespace cotangent
