# SPDX-License-Identifier: MIT
# With which engine REDOUBT_FUZZ builds the fuzz targets. One build folder for each; the presets of CMakePresets.json set it.
#
#   libfuzzer  clang's own, in the process, with ASan and UBSan                           build/fuzz
#   afl        AFL++'s compiler and its driver: persistent mode, inputs in shared memory    build/afl
#   cmplog     the same without sanitizers, recording comparisons for afl-fuzz -c           build/afl-cmplog
#   cov        replays folders and counts lines and branches (clang's source-based coverage)  build/cov
#   custom     what OSS-Fuzz asks for in CFLAGS and LIB_FUZZING_ENGINE (fuzz/oss-fuzz/build.sh)
#
# Sets REDOUBT_ENGINE_FLAGS, _LINK (options), _LIBRARY and _MAIN (a source), and REDOUBT_AFL, AFL++'s compiler.

set(REDOUBT_ENGINE libfuzzer CACHE STRING "Engine of the fuzz targets: libfuzzer, afl, cmplog, cov or custom")
find_program(REDOUBT_AFL afl-clang-fast)
find_program(REDOUBT_PYTHON python3 HINTS /usr/bin)
set(REDOUBT_ENGINE_MAIN "")
set(REDOUBT_ENGINE_LIBRARY "")
if(REDOUBT_ENGINE STREQUAL "libfuzzer")
	set(REDOUBT_ENGINE_FLAGS ${REDOUBT_SANITIZE} -fsanitize=fuzzer-no-link)
	set(REDOUBT_ENGINE_LINK ${REDOUBT_SANITIZE_LINK} -fsanitize=fuzzer)
	foreach(traced cmp1 cmp2 cmp4 cmp8 const_cmp1 const_cmp2 const_cmp4 const_cmp8)
		list(APPEND REDOUBT_ENGINE_LINK -Wl,--wrap=__sanitizer_cov_trace_${traced})
	endforeach()
	set(REDOUBT_ENGINE_MAIN fuzz/options.c fuzz/comparisons.c)
elseif(REDOUBT_ENGINE MATCHES "^(afl|cmplog)$")
	# Debian's afl++ comes with its own clang: a second compiler reads every parser.
	get_filename_component(afl_bin ${CMAKE_C_COMPILER} DIRECTORY)
	find_library(REDOUBT_AFL_DRIVER libAFLDriver.a HINTS ${afl_bin}/../lib/afl REQUIRED)
	set(REDOUBT_ENGINE_FLAGS ${REDOUBT_CHECKED})
	set(REDOUBT_ENGINE_LINK "")
	if(REDOUBT_ENGINE STREQUAL "afl")
		set(REDOUBT_ENGINE_FLAGS ${REDOUBT_SANITIZE})
		set(REDOUBT_ENGINE_LINK -fsanitize=address,undefined)
	else()
		# The compiler reads it from its environment.
		set(CMAKE_C_COMPILER_LAUNCHER env AFL_LLVM_CMPLOG=1)
		set(CMAKE_C_LINKER_LAUNCHER env AFL_LLVM_CMPLOG=1)
	endif()
	set(REDOUBT_ENGINE_LIBRARY ${REDOUBT_AFL_DRIVER})
elseif(REDOUBT_ENGINE STREQUAL "cov")
	set(REDOUBT_ENGINE_FLAGS ${REDOUBT_CHECKED} -fprofile-instr-generate -fcoverage-mapping)
	set(REDOUBT_ENGINE_LINK -fuse-ld=lld -fprofile-instr-generate)
	set(REDOUBT_ENGINE_MAIN fuzz/replay_main.c)
elseif(REDOUBT_ENGINE STREQUAL "custom")
	if("$ENV{LIB_FUZZING_ENGINE}" STREQUAL "")
		message(FATAL_ERROR "REDOUBT_ENGINE=custom wants LIB_FUZZING_ENGINE in the environment: -fsanitize=fuzzer, or a library")
	endif()
	# Linked by the C++ compiler: engines are C++.
	enable_language(CXX)
	# Somebody else's compiler may warn of more.
	set(REDOUBT_ENGINE_FLAGS ${REDOUBT_CHECKED} -Wno-error)
	separate_arguments(engine_words UNIX_COMMAND "$ENV{LIB_FUZZING_ENGINE}")
	set(REDOUBT_ENGINE_LINK "")
	set(REDOUBT_ENGINE_LIBRARY ${engine_words})
else()
	message(FATAL_ERROR "REDOUBT_ENGINE is libfuzzer, afl, cmplog, cov or custom, not ${REDOUBT_ENGINE}")
endif()
