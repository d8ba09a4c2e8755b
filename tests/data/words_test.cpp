#include <cotangent/data/words.hpp>

#include <catch2/catch.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;
using data::WordVocabulary;

TEST_CASE("words: numbered by how often they come") {
  const WordVocabulary vocabulary("The cat saw the dog.  The dog didn't see 3.5 cats!\n\nWhat--a 'well-known' dog");
  CHECK(vocabulary.size() == 14);
  CHECK(vocabulary.word(2) == "dog");  // as often as the next, and before it
  CHECK(vocabulary.word(3) == "the");
  CHECK(vocabulary.word(4) == "3");
  CHECK(vocabulary.token("well-known") == 12);
  CHECK(vocabulary.token("didn't") > 1);
  CHECK(vocabulary.token("what") > 1);
  CHECK(vocabulary.token("mouse") == WordVocabulary::unknown);
  CHECK(vocabulary.token("<s>") == WordVocabulary::unknown);
  CHECK(vocabulary.counts().to_vector<int64_t>() == std::vector<int64_t>{4, 0, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  const Tensor tokens = vocabulary.encode("...The dog?! saw a MOUSE\n\n\n. the");
  CHECK(vocabulary.decode(tokens) == "<s> the dog <s> saw a <unk> <s> the <s>");
  CHECK(vocabulary.decode(vocabulary.encode("")) == "<s>");
  CHECK(vocabulary.decode(vocabulary.encode("a-b -a- 'a' a'")) == "<s> <unk> a a a <s>");
  CHECK(vocabulary.decode(vocabulary.encode("3.5. cats\nsee")) == "<s> 3 5 <s> cats see <s>");

  const WordVocabulary frequent("a b a c a b d", 2);
  CHECK(frequent.size() == 4);
  CHECK(frequent.counts().to_vector<int64_t>() == std::vector<int64_t>{2, 2, 3, 2});
  CHECK(frequent.decode(frequent.encode("a b c d")) == "<s> a b <unk> <unk> <s>");
  CHECK(WordVocabulary("na\xc3\xafve caf\xc3\xa9").token("caf\xc3\xa9") == 2);
}

TEST_CASE("words: what a vocabulary cannot take") {
  CHECK_THAT(error_of([] { WordVocabulary(""); }), Contains("no word that comes 1 times"));
  CHECK_THAT(error_of([] { WordVocabulary("a b c", 2); }), Contains("no word that comes 2 times"));
  const WordVocabulary vocabulary("a b c");
  CHECK_THAT(error_of([&] { vocabulary.decode(tensor({0, 5})); }), Contains("there is no token 5; there are 5"));
  CHECK_THAT(error_of([&] { vocabulary.word(-1); }), Contains("there is no token -1"));
  CHECK_THAT(error_of([&] { vocabulary.decode(tensor({1.0})); }), Contains("must be (N) integers"));
}
