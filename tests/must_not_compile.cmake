# Compiles FILE, which must fail with the message that its first line names; with CONTROL defined it must compile.
file(STRINGS ${FILE} message LIMIT_COUNT 1)
string(REPLACE "// must not compile: " "" message "${message}")
foreach(define IN ITEMS CONTROL REFUSED)
  execute_process(COMMAND ${COMPILER} -std=c++20 -fsyntax-only -I${INCLUDE} -D${define} ${FILE}
                  RESULT_VARIABLE ${define} OUTPUT_VARIABLE text ERROR_VARIABLE text)
endforeach()
string(FIND "${text}" "${message}" at)
if(NOT CONTROL EQUAL 0)
  message(FATAL_ERROR "${FILE} does not compile with CONTROL either")
elseif(REFUSED EQUAL 0 OR at EQUAL -1)
  message(FATAL_ERROR "${FILE} should fail with \"${message}\"; the compiler says:\n${text}")
endif()
