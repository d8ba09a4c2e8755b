#pragma once
#include <cstddef>

#include <cotangent/io/safetensors.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::io {

/// What a training needs to go on as if it had not been stopped: states by the name of what they belong to, and
/// settings as text.
///
///     io::Checkpoint saved;
///     saved.add("model", model.state_dict());
///     saved.add("optimizer", optimizer.state_dict());
///     saved.add("generator", default_generator());
///     saved.settings["step"] = std::to_string(step);
///     io::save_checkpoint("run.safetensors", saved);
///
///     const io::Checkpoint saved = io::load_checkpoint("run.safetensors");
///     model.load_state_dict(saved["model"]);  // of another model: an error that lists what does not fit
///     optimizer.load_state_dict(saved["optimizer"]);
///     saved.restore("generator", default_generator());
///     step = std::stoll(saved.settings.at("step"));
///
/// The losses after that are, bit for bit, those that would have come. The batches must be a function of the seed and
/// the step, as data::random_batch makes them, or come from a data::DataLoader, whose state is a part like the others.
struct Checkpoint {
  Metadata settings;

  /// Adds a part. The tensors share the memory of what they were taken from, so save before training goes on. A
  /// ValueError for a name that is there already, is empty or has a dot in it, and for an empty state.
  void add(const std::string& part, const StateDict& state);
  void add(const std::string& part, const Generator& generator);
  /// The state of a part; an IndexError, which lists the parts, when there is none of that name.
  StateDict operator[](const std::string& part) const;
  StateDict operator[](std::nullptr_t) const = delete;  // saved[0] would be a part at address 0
  /// Sets the generator to where the one that was added stood. Errors as above; a ValueError when the part is none.
  void restore(const std::string& part, Generator& generator) const;
  std::vector<std::string> parts() const;

  StateDict tensors;  ///< of all parts: "model.fc1.weight"
};

/// Writes a safetensors file, whole or not at all, with the settings as its metadata. Errors of write_safetensors; a
/// ValueError for a setting called "format".
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);
/// Errors of read_safetensors; an IOError for a file that save_checkpoint did not write.
Checkpoint load_checkpoint(const std::string& path);

}  // namespace cotangent::io
