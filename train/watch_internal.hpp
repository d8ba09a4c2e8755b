#pragma once
// What check_model sees of a forward pass: each op as it is recorded.
#include <map>

#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/train/model_report.hpp>

namespace cotangent::detail {

class ForwardWatch : Observer {
 public:
  explicit ForwardWatch(int64_t examples) : examples_(examples) {}
  /// Those of the names "dead units", "saturated", "softmax twice", "log missing", "labels" and "broadcast".
  std::vector<ModelFinding> findings() const { return findings_; }

 private:
  /// Of the units of a result: for each the mean and the spread over all places.
  struct Units {
    std::vector<double> mean, deviation;
  };
  void recorded(Node& node, std::span<const TensorRef> inputs, std::span<const Tensor> outputs) override;
  void look_at_units(Node& node, const std::string& where, const Tensor& y);
  void look_at_loss(const std::string& op, const Tensor& x);
  void add(ModelFinding finding);

  int64_t examples_;
  std::map<const Node*, Units> units_;
  std::vector<ModelFinding> findings_;
};

}  // namespace cotangent::detail
