// A text is read byte for byte, and what a vocabulary takes, it gives back.
#include <cotangent/data/text.hpp>

#include "fuzz.hpp"

using namespace cotangent;

std::vector<Bytes> seeds() {
  std::vector<Bytes> result;
  for (const std::string text :
       {"hello, \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x81 ", "One.\n%\nTwo,\n\ttwo lines.\n%\n%\nOne.\n%\n",
        "_\bTh_\bre_\be\a\b 100 %\r\n%\nFour, without an end",
        "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf"})
    result.emplace_back(text.begin(), text.end());
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = file_of("f", Bytes(data, data + size));
  std::string text;
  const bool read = succeeds<IOError>("[read_text] ", [&] { text = data::read_text(path); });
  promise(read == (size > 0), "only an empty file is refused");
  succeeds<IOError>("[read_fortunes] ", [&] { data::read_fortunes(directory().path.string()); });
  if (!read) return 0;
  const std::string_view exact(reinterpret_cast<const char*>(data), size);  // with nothing behind it
  promise(text == exact, "byte for byte");
  succeeds<ValueError>("[CharVocabulary] ", [&] {
    const data::CharVocabulary vocabulary(exact);
    const Tensor tokens = vocabulary.encode(exact);
    promise(vocabulary.decode(tokens) == exact, "what is encoded is decoded");
    promise(data::CharVocabulary(vocabulary.characters()).characters() == vocabulary.characters(),
            "its own characters");
  });
  return 0;
}
