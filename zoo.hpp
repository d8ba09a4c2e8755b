#pragma once
// The parts of whole systems: models and what training them takes. A library of its own, cotangent_zoo.
#include <cotangent/zoo/alias_table.hpp>
#include <cotangent/zoo/gpt.hpp>
#include <cotangent/zoo/huffman.hpp>
#include <cotangent/zoo/medusa.hpp>
#include <cotangent/zoo/mobilenet.hpp>
#include <cotangent/zoo/ngram.hpp>
#include <cotangent/zoo/nplm.hpp>
#include <cotangent/zoo/word2vec.hpp>
