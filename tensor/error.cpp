#include <cotangent/tensor/error.hpp>

namespace cotangent {

Error::Error(std::string message) : message_(std::move(message)), length_(message_.size()) {}

const char* Error::what() const noexcept { return message_.c_str(); }

void Error::append(const std::string& text) {
  message_.insert(length_, text);
  length_ += text.size();
}

void Error::leave(const void* module, const std::string& name) {
  module_ = module;
  if (name.empty()) return;
  path_ = path_.empty() ? name : name + "." + path_;
  message_.resize(length_);
  message_ += " (in " + path_ + ")";
}

}  // namespace cotangent
