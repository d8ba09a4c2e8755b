#include "gnuplot.hpp"

#include <cotangent/tensor/error.hpp>
#include <cstdio>
#include <cstdlib>

void run_gnuplot(const std::string& script, const std::string& picture) {
  static const bool installed = std::system("command -v gnuplot >/dev/null 2>&1") == 0;
  if (!installed) {
    std::printf("%s is left out: gnuplot is not installed (package gnuplot-nox)\n", picture.c_str());
    return;
  }
  FILE* gnuplot = popen("gnuplot", "w");
  if (!gnuplot) throw cotangent::IOError("[gnuplot] it can't be started");
  std::fputs(script.c_str(), gnuplot);
  if (pclose(gnuplot) != 0) throw cotangent::IOError("[gnuplot] it could not draw " + picture);
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (char c : text) result += c == '\'' ? "''" : std::string(1, c);
  return result + "'";
}
