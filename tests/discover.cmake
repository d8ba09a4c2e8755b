# Run when a test program has been linked: writes its test cases, labelled by their tags, to CTEST_FILE.
# (Catch2's own catch_discover_tests knows no tags.)
set(fast ~[slow]~[threads])
set(fast-threads [threads]~[slow])
set(slow [slow]~[threads])
set(slow-threads [slow][threads])

string(ASCII 1 open)  # brackets and semicolons mean something in CMake's lists: these stand in for them
string(ASCII 2 close)
string(ASCII 3 semicolon)

set(script "")
foreach(label IN ITEMS fast fast-threads slow slow-threads)
  execute_process(COMMAND ${PROGRAM} ${${label}} --list-test-names-only OUTPUT_VARIABLE names ERROR_VARIABLE error
                  RESULT_VARIABLE count)
  if(NOT count MATCHES "^[0-9]+$" OR error)
    message(FATAL_ERROR "${PROGRAM} cannot list its tests: ${count}\n${error}")
  endif()
  string(REPLACE "[" "${open}" names "${names}")
  string(REPLACE "]" "${close}" names "${names}")
  string(REPLACE ";" "${semicolon}" names "${names}")
  string(REGEX MATCHALL "[^\n]+" names "${names}")
  foreach(name IN LISTS names)
    string(REPLACE "${open}" "[" name "${name}")
    string(REPLACE "${close}" "]" name "${name}")
    string(REPLACE "${semicolon}" ";" name "${name}")
    string(REGEX REPLACE "([][,\\])" "\\\\\\1" filter "${name}")
    string(APPEND script "add_test([==[${ROOM}: ${name}]==] [==[${PROGRAM}]==] [==[${filter}]==] -w NoTests)\n"
           "set_tests_properties([==[${ROOM}: ${name}]==] PROPERTIES LABELS ${label} TIMEOUT 600)\n")
  endforeach()
endforeach()
file(WRITE ${CTEST_FILE} "${script}")
