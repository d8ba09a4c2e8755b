#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_CONSOLE_WIDTH 160  // so that tables of gradient errors stay tables
#include <catch2/catch.hpp>

#include <cstdlib>

// Before anything takes memory: an element that nobody wrote is to show (tensor/memory/allocator.hpp).
[[gnu::constructor(101)]] static void poison_memory() { setenv("COTANGENT_POISON", "1", 0); }
