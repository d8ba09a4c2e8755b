// Pictures by gnuplot, the program: a script goes to its standard input. Without it a picture is left out, with a word.
#pragma once
#include <string>

/// Runs a script that draws `picture`. An IOError when gnuplot does not accept it.
void run_gnuplot(const std::string& script, const std::string& picture);

/// A string as gnuplot reads it.
std::string quoted(const std::string& text);
