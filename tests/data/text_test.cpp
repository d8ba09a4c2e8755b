#include <cotangent/data/text.hpp>

#include "files.hpp"

#include <catch2/catch.hpp>
#include <cotangent/data/dataloader.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;
using data::CharVocabulary;
using data::TextDataset;

namespace {

using Tokens = std::vector<int64_t>;

void write_text(const std::string& path, const std::string& text) { write_plain(path, {text.begin(), text.end()}); }

}  // namespace

TEST_CASE("text: characters are code points, numbered in order") {
  const CharVocabulary vocabulary("hello, \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x81 ");
  CHECK(vocabulary.characters() == " ,ehlo\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x81");
  CHECK(vocabulary.size() == 9);
  const Tensor tokens = vocabulary.encode("he\xe2\x82\xac");
  CHECK(tokens.dtype() == int64);
  CHECK(tokens.to_vector<int64_t>() == Tokens{3, 2, 7});
  CHECK(vocabulary.decode(tokens) == "he\xe2\x82\xac");
  CHECK(vocabulary.decode(tokens.to(uint8)) == "he\xe2\x82\xac");
  CHECK(vocabulary.encode("").shape() == Shape{0});
  CHECK(vocabulary.decode(vocabulary.encode("")).empty());
  CHECK(CharVocabulary(vocabulary.characters()).characters() == vocabulary.characters());
  const std::string edges = std::string(1, '\0') +
                            "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
                            "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
  const CharVocabulary extremes(edges);
  CHECK(extremes.size() == 10);
  CHECK(extremes.decode(extremes.encode(edges)) == edges);
}

TEST_CASE("text: what a vocabulary cannot take") {
  const CharVocabulary vocabulary("abc");
  CHECK_THAT(error_of([] { CharVocabulary(""); }), Contains("the text is empty"));
  for (const char* bad : {"ab\xff", "ab\x80", "ab\xc3", "ab\xc3(", "ab\xe2\x82", "ab\xc0\x80", "ab\xe0\x80\x80",
                          "ab\xed\xa0\x80", "ab\xf4\x90\x80\x80", "ab\xf8\x88\x80\x80\x80"})
    CHECK_THAT(error_of([&] { CharVocabulary{bad}; }), Contains("byte 2 of the text") && Contains("is no UTF-8"));
  CHECK_THAT(error_of([&] { vocabulary.encode("abd"); }), Contains("'d' (U+0064) is not among the 3 characters"));
  CHECK_THAT(error_of([&] { vocabulary.encode("a\n"); }), Contains("U+000A is not among"));
  CHECK_THAT(error_of([&] { vocabulary.decode(tensor({0, 3})); }), Contains("there is no token 3; there are 3"));
  CHECK_THAT(error_of([&] { vocabulary.decode(tensor({-1})); }), Contains("there is no token -1"));
  CHECK_THAT(error_of([&] { vocabulary.decode(tensor({{1}})); }), Contains("must be (N) integers"));
  CHECK_THAT(error_of([&] { vocabulary.decode(tensor({1.0})); }), Contains("must be (N) integers"));
}

TEST_CASE("text: windows are shifted by one for what is to be predicted") {
  const TextDataset places(arange(8), 3), apart(arange(8), 3, 3);
  CHECK(places.size() == 5);
  const Tokens chosen{4, 0};
  const data::Batch batch = places.batch(chosen, default_generator());
  CHECK(batch.x.shape() == Shape{2, 3});
  CHECK(batch.x.to_vector<int64_t>() == Tokens{4, 5, 6, 0, 1, 2});
  CHECK(batch.y.to_vector<int64_t>() == Tokens{5, 6, 7, 1, 2, 3});
  CHECK(apart.size() == 2);
  data::DataLoader loader(apart, {.batch_size = 2});
  for (const auto& [x, y] : loader) {
    CHECK(x.to_vector<int64_t>() == Tokens{0, 1, 2, 3, 4, 5});
    CHECK(y.to_vector<int64_t>() == Tokens{1, 2, 3, 4, 5, 6});
  }
  CHECK(TextDataset(arange(4), 3).size() == 1);
  CHECK(TextDataset(arange(7), 3, 3).size() == 2);
  CHECK(TextDataset(arange(6), 3, 3).size() == 1);
  CHECK(TextDataset(arange(12).to(uint8).slice(0, 0, 12, 2), 2)
            .batch(Tokens{1}, default_generator())
            .y.to_vector<int64_t>() == Tokens{4, 6});

  CHECK_THAT(error_of([] { TextDataset(arange(3), 3); }),
             Contains("the text has 3 tokens, too few for a context of 3"));
  CHECK_THAT(error_of([] { TextDataset(arange(0), 1); }), Contains("the text has 0 tokens"));
  CHECK_THAT(error_of([] { TextDataset(arange(3), 0); }), Contains("context 0 and stride 1"));
  CHECK_THAT(error_of([] { TextDataset(arange(3), 1, 0); }), Contains("context 1 and stride 0"));
  CHECK_THAT(error_of([] { TextDataset(ones({3}), 1); }), Contains("must be (N) integers"));
  CHECK_THAT(error_of([&] { places.batch(Tokens{5}, default_generator()); }),
             Contains("there is no example 5; there are 5"));
  CHECK_THAT(error_of([&] { places.batch(Tokens{-1}, default_generator()); }), Contains("there is no example -1"));
}

TEST_CASE("text: the last part is for validation") {
  const data::TokenSplit parts = data::split_tokens(arange(25), 0.1);
  CHECK(parts.train.numel() == 23);
  CHECK(parts.validation.to_vector<int64_t>() == Tokens{23, 24});
  for (const double fraction : {0.0, 1.0, -0.5, std::nan("")})
    CHECK_THAT(error_of([&] { data::split_tokens(arange(25), fraction); }), Contains("must lie between 0 and 1"));
}

TEST_CASE("text: random batches are a function of seed and step") {
  const TextDataset places(arange(10000), 4);
  const auto starts = [&](uint64_t seed, uint64_t step, int64_t count = 6) {
    return data::random_batch(places, count, seed, step).x.select(1, 0).to_vector<int64_t>();
  };
  CHECK(starts(1, 5) == starts(1, 5));
  CHECK(starts(1, 5) != starts(1, 6));
  CHECK(starts(1, 5) != starts(2, 5));
  const Tokens many = starts(1, 0, 4000);  // all parts of the text alike
  int quarters[4] = {};
  for (const int64_t start : many) ++quarters[start * 4 / places.size()];
  for (const int n : quarters) CHECK(std::abs(n - 1000) < 120);  // 4 deviations
  CHECK_THAT(error_of([&] { data::random_batch(places, 0, 1, 1); }), Contains("batch_size is 0"));
  CHECK_THAT(error_of([] {
               data::random_batch(data::TensorDataset(ones({0, 2}), ones({0})), 1, 1, 1);
             }),
             Contains("the data set is empty"));
}

TEST_CASE("text: files, and fortunes") {
  const TemporaryDirectory directory;
  write_text(directory / "a", "One.\n%\nTwo,\n\ttwo lines.\n%\n%\nOne.\n%\n");
  write_text(directory / "b", "_\bTh_\bre_\be\a\b 100 %\r\n%\nFour, without an end");
  write_text(directory / "a.dat", "index\n");
  std::filesystem::create_symlink("a", directory / "a.u8");
  std::filesystem::create_directory(directory / "off");
  const std::string text = data::read_fortunes(directory.path.string());
  CHECK(text == data::read_fortunes(directory.path.string()));
  CHECK(text.size() == 58);
  for (const char* epigram : {"One.\n\n", "Two,\n\ttwo lines.\n\n", "Thre 100 %\n\n", "Four, without an end\n\n"}) {
    INFO(epigram);
    const size_t at = text.find(epigram);
    CHECK(at != std::string::npos);
    CHECK((at == 0 || text.substr(at - 2, 2) == "\n\n"));
    CHECK(text.find(epigram, at + 1) == std::string::npos);
  }
  CHECK(data::read_text(directory / "a.dat") == "index\n");

  CHECK_THAT(error_of([&] { data::read_text(directory / "x"); }), Contains("cannot be opened: No such file"));
  CHECK_THAT(error_of([&] { data::read_text(directory.path.string()); }),
             Contains("is no regular file but a directory"));
  write_text(directory / "nothing", "");
  CHECK_THAT(error_of([&] { data::read_text(directory / "nothing"); }), Contains("is empty"));
  CHECK_THAT(error_of([&] { data::read_fortunes(directory / "off"); }),
             Contains("holds no epigrams; install Debian's packages fortunes and fortunes-min"));
  CHECK_THAT(error_of([&] { data::read_fortunes(directory / "missing"); }), Contains("holds no epigrams"));
}
