#include "json.hpp"

#include <fstream>
#include <list>
#include <map>
#include <ostream>

#include <nlohmann/json.hpp>

namespace cotangent {
namespace {

const nlohmann::json& of(const Json::Node* node) { return *reinterpret_cast<const nlohmann::json*>(node); }
const Json::Node* node_of(const nlohmann::json& value) { return reinterpret_cast<const Json::Node*>(&value); }

const nlohmann::json& document(const std::string& name) {
  static std::map<std::string, nlohmann::json> documents;
  const auto found = documents.find(name);
  if (found != documents.end()) return found->second;
  const std::string path = COTANGENT_SOURCE_DIR "/tests/reference/" + name;
  std::ifstream file(path);
  if (!file) throw IOError(path + " cannot be read");
  return documents[name] = nlohmann::json::parse(file);
}

}  // namespace

Json::Json(const std::string& name) : node_(node_of(document(name))) {}

Json Json::parse(const std::string& text) {
  static std::list<nlohmann::json> documents;
  return Json(node_of(documents.emplace_back(nlohmann::json::parse(text))));
}

Json Json::operator[](std::string_view key) const { return Json(node_of(of(node_).at(std::string(key)))); }
Json Json::operator[](size_t i) const { return Json(node_of(of(node_).at(i))); }
size_t Json::size() const { return of(node_).size(); }
bool Json::contains(std::string_view key) const { return of(node_).contains(key); }
bool Json::is_null() const { return of(node_).is_null(); }
bool Json::is_array() const { return of(node_).is_array(); }
bool Json::is_boolean() const { return of(node_).is_boolean(); }
bool Json::is_integer() const { return of(node_).is_number_integer(); }
bool Json::is_string() const { return of(node_).is_string(); }

template <class T>
T Json::get() const {
  return of(node_).get<T>();
}
template bool Json::get() const;
template int Json::get() const;
template int64_t Json::get() const;
template double Json::get() const;
template std::string Json::get() const;
template std::vector<int64_t> Json::get() const;
template std::vector<double> Json::get() const;
template std::vector<std::vector<double>> Json::get() const;

std::vector<std::pair<std::string, Json>> Json::items() const {
  std::vector<std::pair<std::string, Json>> result;
  for (const auto& [name, value] : of(node_).items()) result.emplace_back(name, Json(node_of(value)));
  return result;
}

std::ostream& operator<<(std::ostream& out, const Json& value) { return out << of(value.node_); }

}  // namespace cotangent
