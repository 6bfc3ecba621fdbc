# Run at every build: writes belay_commit.hpp into OUTPUT, and leaves it alone when it says the same.
set(commit unknown)
set(date "")
find_program(GIT git)
if(GIT AND EXISTS "${SOURCE}/.git")
  execute_process(COMMAND "${GIT}" describe --always --dirty --exclude=* --abbrev=12
    WORKING_DIRECTORY "${SOURCE}" OUTPUT_VARIABLE described RESULT_VARIABLE failed
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND "${GIT}" log -1 --format=%cs
    WORKING_DIRECTORY "${SOURCE}" OUTPUT_VARIABLE day RESULT_VARIABLE undated
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed AND NOT undated)
    set(commit "${described}")
    set(date "${day}")
  endif()
endif()
if(date STREQUAL "")
  string(TIMESTAMP date "%Y-%m-%d" UTC) # Of SOURCE_DATE_EPOCH where that is set.
endif()
set(text "#define BELAY_COMMIT \"${commit}\"\n#define BELAY_COMMIT_DATE \"${date}\"\n")
set(former "")
if(EXISTS "${OUTPUT}/belay_commit.hpp")
  file(READ "${OUTPUT}/belay_commit.hpp" former)
endif()
if(NOT text STREQUAL former)
  file(WRITE "${OUTPUT}/belay_commit.hpp" "${text}")
endif()
