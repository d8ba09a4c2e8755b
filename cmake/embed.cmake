# A script that writes a C++ source with the texts of files, which the library shows:
#   cmake -D OUTPUT=FILE.cpp -D ARRAY=NAME -D "FILES=FILE;..." -P embed.cmake
# NAME is an array of cotangent::detail::EmbeddedFile, whose last one is empty.
set(text "#include <cotangent/autograd/graph/embedded_internal.hpp>\n\n")
string(APPEND text "namespace cotangent::detail {\nconst EmbeddedFile ${ARRAY}[] = {\n")
foreach(path IN LISTS FILES)
  cmake_path(GET path FILENAME name)
  file(READ ${path} content)
  string(APPEND text "{\"${name}\", R\"embedded(${content})embedded\"},\n")
endforeach()
string(APPEND text "{}};\n}  // namespace cotangent::detail\n")
file(WRITE ${OUTPUT} "${text}")
