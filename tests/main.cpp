#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_CONSOLE_WIDTH 160  // so that tables of gradient errors stay tables
#include <catch2/catch.hpp>
