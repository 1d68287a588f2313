# SPDX-License-Identifier: MIT
# Every parser of untrusted bytes is built twice: with the product's flags, and with sanitizers and coverage for the
# unit tests and for its fuzz target. One call declares all of it:
#
#   redoubt_parser(NAME acpi SOURCES hv/wire/acpi.c HARNESS fuzz/fuzz_acpi.c CORPUS fuzz/corpus/acpi)
#
# HARNESS defines LLVMFuzzerTestOneInput. CORPUS is a folder with at least one input; ctest replays every file of it.
# WITH names further sources that only the harness needs: the session that uses the parser.
# WRAP names functions of the C library that the harness stands in for, as __wrap_NAME: those that cannot be defined twice.
# KIND is stateless (the default) or session: a script of actions. MAX_LEN is the longest input (default 4096).
# DICT is a dictionary (fuzz/dict/NAME.dict needs no word), or a table *.def of which tools/fuzz/dict.py makes one.
# MUTATOR is a file with LLVMFuzzerCustomMutator; it serves libFuzzer, and AFL++ as a library (fuzz/mutator_afl.c).
# NOT_IN_HYPERVISOR keeps the product object out of the hypervisor image (for the parsers of the device processes); the
# library wire_program has them all, for the programs of the root.
#
#   redoubt_reader(...)   a reader that needs LIBRARIES, or is a program's session: WITH no product object of its own
#   redoubt_core(...)     a target made of the whole hypervisor core on the fake architecture; SOURCES are what it is for
#   redoubt_parsers_complete(), after the parsers, makes the libraries of all of them
#   redoubt_targets_complete(), at the end, refuses what nobody declares and writes targets.json
#
# tools/cmake/engines.cmake says with which engine REDOUBT_FUZZ builds: one build folder for each. docs/fuzzing.md.

include(${CMAKE_CURRENT_LIST_DIR}/engines.cmake)
# Folders of which every source has to be declared.
set(REDOUBT_PARSER_FOLDERS hv/wire attest/core)

function(_redoubt_refuse text)
	if(ARGC GREATER 1)
		string(APPEND text "${ARGV1}")
	endif()
	message(FATAL_ERROR "${text}")
endfunction()

# What only carries bytes, or goes through the owner's own tables: a fuzzer learns nothing from the numbers that these compare, and
# tracing them is a quarter of a session's time. Their coverage is traced as everybody's.
if(REDOUBT_FUZZ AND "${REDOUBT_ENGINE_FLAGS}" MATCHES "fuzzer-no-link")
	foreach(source fuzz/gmem_watch.c hv/wire/gmem.c hv/wire/vmbus_action.c hv/host/lib/chan.c hv/host/lib/ipc.c hv/host/lib/record.c hv/core/connect.c hv/core/cpu.c
		hv/core/launch.c hv/core/npt.c hv/core/owner.c
		hv/core/partition.c hv/core/pfn.c hv/core/time.c hv/core/vp.c)
		set_property(SOURCE ${CMAKE_SOURCE_DIR}/${source} APPEND PROPERTY COMPILE_OPTIONS
			"$<$<BOOL:$<TARGET_PROPERTY:REDOUBT_TRACED>>:-fno-sanitize-coverage=trace-cmp>")
	endforeach()
endif()

# What every action goes through and no input decides: its branches are not counted either.
if(REDOUBT_FUZZ AND "${REDOUBT_ENGINE_FLAGS}" MATCHES "fuzzer-no-link")
	foreach(source format heap lock log)
		set_property(SOURCE ${CMAKE_SOURCE_DIR}/hv/core/${source}.c APPEND PROPERTY COMPILE_OPTIONS
			"$<$<BOOL:$<TARGET_PROPERTY:REDOUBT_TRACED>>:-fno-sanitize=fuzzer-no-link>")
	endforeach()
endif()

# Mutators are no aim of the fuzzer: they are plain, as in AFL++'s library.
foreach(source fuzz/mutate.c fuzz/mutate_sized.c fuzz/comparisons.c)
	set_property(SOURCE ${CMAKE_SOURCE_DIR}/${source} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=all -fomit-frame-pointer -O2)
endforeach()

# Parses the words that all declarations share, into P_*, and checks them.
macro(_redoubt_words call options lists)
	cmake_parse_arguments(PARSE_ARGV 0 P "${options}" "NAME;HARNESS;CORPUS;KIND;MAX_LEN;DICT;MUTATOR"
		"SOURCES;WITH;WRAP;${lists}")
	foreach(word NAME HARNESS CORPUS SOURCES)
		if(NOT P_${word})
			_redoubt_refuse("${call}(${P_NAME}): ${word} is missing")
		endif()
	endforeach()
	if(P_UNPARSED_ARGUMENTS)
		_redoubt_refuse("${call}(${P_NAME}): unknown words: ${P_UNPARSED_ARGUMENTS}")
	endif()
	if(NOT P_KIND)
		set(P_KIND stateless)
	endif()
	if(NOT P_KIND MATCHES "^(stateless|session)$")
		_redoubt_refuse("${call}(${P_NAME}): KIND is stateless or session, not ${P_KIND}")
	endif()
	if(NOT P_MAX_LEN)
		set(P_MAX_LEN 4096)
	endif()
	if(NOT P_DICT AND EXISTS "${CMAKE_SOURCE_DIR}/fuzz/dict/${P_NAME}.dict")
		set(P_DICT fuzz/dict/${P_NAME}.dict)
	endif()
	foreach(source ${P_SOURCES} ${P_WITH} ${P_MUTATOR} ${P_DICT})
		if(NOT EXISTS "${CMAKE_SOURCE_DIR}/${source}")
			_redoubt_refuse("${P_NAME}: its source ${source} does not exist")
		endif()
	endforeach()
	if(NOT EXISTS "${CMAKE_SOURCE_DIR}/${P_HARNESS}")
		_redoubt_refuse("${P_NAME}: its fuzz harness ${P_HARNESS} does not exist: write it (LLVMFuzzerTestOneInput; docs/fuzzing.md)")
	endif()
	file(GLOB P_INPUTS CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${P_CORPUS}/*")
	if(NOT P_INPUTS)
		_redoubt_refuse("${P_NAME}: its corpus ${P_CORPUS} is empty: put at least one real input there (docs/fuzzing.md)")
	endif()
	foreach(input ${P_INPUTS})
		file(SIZE "${input}" size)
		if(size GREATER P_MAX_LEN)
			_redoubt_refuse("${P_NAME}: ${input} has ${size} bytes, and MAX_LEN is ${P_MAX_LEN}: raise MAX_LEN, or minimise the input")
		endif()
	endforeach()
endmacro()

# Dictionary, options file and seed archive of a target, beside its program and named as OSS-Fuzz wants them.
function(_redoubt_seeds)
	set(program ${CMAKE_BINARY_DIR}/fuzz_${P_NAME})
	set(made ${program}_seed_corpus.zip)
	add_custom_command(OUTPUT ${made}
		COMMAND ${CMAKE_COMMAND} -E tar cf ${made} --format=zip --mtime=1970-01-02 -- ${P_INPUTS}
		DEPENDS ${P_INPUTS} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/${P_CORPUS} COMMENT "Seeds of ${P_NAME}" VERBATIM)
	if(P_DICT MATCHES "\\.def$")
		add_custom_command(OUTPUT ${program}.dict
			COMMAND ${REDOUBT_PYTHON} -B ${CMAKE_SOURCE_DIR}/tools/fuzz/dict.py ${CMAKE_SOURCE_DIR}/${P_DICT} ${program}.dict
			DEPENDS ${CMAKE_SOURCE_DIR}/tools/fuzz/dict.py ${CMAKE_SOURCE_DIR}/${P_DICT} COMMENT "Dictionary of ${P_NAME}" VERBATIM)
		list(APPEND made ${program}.dict)
	elseif(P_DICT)
		configure_file(${CMAKE_SOURCE_DIR}/${P_DICT} ${program}.dict COPYONLY)
	endif()
	file(CONFIGURE OUTPUT ${program}.options CONTENT "[libfuzzer]\nmax_len = ${P_MAX_LEN}\ntimeout = 10\nrss_limit_mb = 1024\n")
	add_custom_target(seeds_${P_NAME} ALL DEPENDS ${made})
	if(P_MUTATOR)
		# Plain: it runs inside afl-fuzz.
		add_library(mutator_${P_NAME} MODULE ${P_MUTATOR} fuzz/mutator_afl.c)
		target_include_directories(mutator_${P_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
		target_compile_options(mutator_${P_NAME} PRIVATE ${REDOUBT_CHECKED} -Wno-missing-prototypes)
		set_target_properties(mutator_${P_NAME} PROPERTIES PREFIX "")
		add_dependencies(fuzz_${P_NAME} mutator_${P_NAME}) # both engines have the same one, always
	endif()
endfunction()

# The fuzz program of the engine, and the corpus replay, of the harness in P_*. ARGN: the kind of object library.
function(_redoubt_target)
	cmake_parse_arguments(PARSE_ARGV 0 T "" "" "HOST;FUZZ")
	get_property(targets GLOBAL PROPERTY REDOUBT_TARGETS)
	if(P_NAME IN_LIST targets)
		_redoubt_refuse("two fuzz targets are named ${P_NAME}")
	endif()
	list(TRANSFORM P_WITH PREPEND ${CMAKE_SOURCE_DIR}/ OUTPUT_VARIABLE with)
	list(TRANSFORM P_WRAP PREPEND -Wl,--wrap= OUTPUT_VARIABLE wrap)
	if(REDOUBT_FUZZ)
		set(mutator "")
		if(REDOUBT_ENGINE MATCHES "^(libfuzzer|custom)$")
			set(mutator ${P_MUTATOR})
		endif()
		add_executable(fuzz_${P_NAME} ${P_HARNESS} ${with} ${mutator} ${REDOUBT_ENGINE_MAIN})
		target_include_directories(fuzz_${P_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
		target_compile_options(fuzz_${P_NAME} PRIVATE ${REDOUBT_ENGINE_FLAGS} -Wno-missing-prototypes)
		set_target_properties(fuzz_${P_NAME} PROPERTIES REDOUBT_TRACED ON)
		target_link_options(fuzz_${P_NAME} PRIVATE ${REDOUBT_ENGINE_LINK} ${wrap})
		target_link_libraries(fuzz_${P_NAME} PRIVATE ${T_FUZZ} ${REDOUBT_ENGINE_LIBRARY})
		if(REDOUBT_ENGINE STREQUAL "custom")
			set_target_properties(fuzz_${P_NAME} PROPERTIES LINKER_LANGUAGE CXX)
		endif()
		if(REDOUBT_ENGINE MATCHES "^(libfuzzer|custom)$")
			_redoubt_seeds()
		endif()
	endif()
	if(REDOUBT_HOST)
		add_executable(replay_${P_NAME} ${P_HARNESS} ${with} fuzz/replay_main.c)
		target_include_directories(replay_${P_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
		target_compile_options(replay_${P_NAME} PRIVATE ${REDOUBT_SANITIZE} -Wno-missing-prototypes)
		target_link_options(replay_${P_NAME} PRIVATE ${REDOUBT_SANITIZE_LINK} ${wrap})
		target_link_libraries(replay_${P_NAME} PRIVATE ${T_HOST})
		add_test(NAME replay.${P_NAME} COMMAND replay_${P_NAME} ${CMAKE_SOURCE_DIR}/${P_CORPUS})
		set_tests_properties(replay.${P_NAME} PROPERTIES LABELS "replay" TIMEOUT 300)
	endif()
	set_property(GLOBAL APPEND PROPERTY REDOUBT_TARGETS ${P_NAME})
	foreach(word SOURCES HARNESS CORPUS KIND MAX_LEN DICT MUTATOR WITH)
		set_property(GLOBAL PROPERTY REDOUBT_TARGET_${P_NAME}_${word} "${P_${word}}")
	endforeach()
	set_property(GLOBAL APPEND PROPERTY REDOUBT_DECLARED ${P_HARNESS} ${P_CORPUS} ${P_DICT} ${P_MUTATOR})
endfunction()

# One object library of a parser, entered in the list that becomes the library <kind>.
function(_redoubt_wire name kind)
	add_library(wire_${name}_${kind} OBJECT ${P_SOURCES})
	target_include_directories(wire_${name}_${kind} PRIVATE ${CMAKE_SOURCE_DIR})
	target_compile_options(wire_${name}_${kind} PRIVATE ${ARGN})
	set_property(GLOBAL APPEND PROPERTY REDOUBT_WIRE_${kind} "$<TARGET_OBJECTS:wire_${name}_${kind}>")
endfunction()

function(redoubt_parser)
	_redoubt_words(redoubt_parser "NOT_IN_HYPERVISOR" "")
	set_property(GLOBAL APPEND PROPERTY REDOUBT_PARSED ${P_SOURCES})
	if(REDOUBT_HV)
		_redoubt_wire(${P_NAME} program ${REDOUBT_PROGRAM_WIRE})
		if(NOT P_NOT_IN_HYPERVISOR)
			_redoubt_wire(${P_NAME} hv ${REDOUBT_HV_COMMON})
		endif()
	endif()
	if(REDOUBT_HOST)
		_redoubt_wire(${P_NAME} host ${REDOUBT_SANITIZE})
	endif()
	if(REDOUBT_FUZZ)
		_redoubt_wire(${P_NAME} fuzz ${REDOUBT_ENGINE_FLAGS})
		set_target_properties(wire_${P_NAME}_fuzz PROPERTIES REDOUBT_TRACED ON)
	endif()
	_redoubt_target(HOST wire_host FUZZ wire_fuzz)
endfunction()

function(redoubt_reader)
	_redoubt_words(redoubt_reader "" "LIBRARIES")
	set(P_WITH ${P_SOURCES} ${P_WITH})
	set(fuzz ${P_LIBRARIES})
	if(REDOUBT_ENGINE STREQUAL "custom")
		# The machines that run the programs have no libraries of ours.
		list(TRANSFORM fuzz REPLACE "^(yaml|jansson)$" "-l:lib\\1.a")
	endif()
	_redoubt_target(HOST wire_host ${P_LIBRARIES} FUZZ wire_fuzz ${fuzz})
endfunction()

function(redoubt_core)
	_redoubt_words(redoubt_core "" "")
	_redoubt_target(HOST core_host wire_host FUZZ core_fuzz wire_fuzz)
	if(REDOUBT_HOST)
		# The core is started once: an input must not notice which ones ran before it.
		add_test(NAME again.${P_NAME} COMMAND replay_${P_NAME} ${CMAKE_SOURCE_DIR}/${P_CORPUS} ${CMAKE_SOURCE_DIR}/${P_CORPUS})
		set_tests_properties(again.${P_NAME} PROPERTIES LABELS "replay" TIMEOUT 300)
	endif()
	if(REDOUBT_FUZZ AND "${REDOUBT_ENGINE_FLAGS}" MATCHES "address")
		target_compile_options(fuzz_${P_NAME} PRIVATE -fsanitize-address-use-after-return=never) # as the core
	endif()
endfunction()

# Ends the list of parsers. Makes wire_host and wire_fuzz, libraries of all of them.
function(redoubt_parsers_complete)
	get_property(parsed GLOBAL PROPERTY REDOUBT_PARSED)
	list(TRANSFORM REDOUBT_PARSER_FOLDERS APPEND "/*.c" OUTPUT_VARIABLE patterns)
	list(TRANSFORM patterns PREPEND "${CMAKE_SOURCE_DIR}/")
	file(GLOB sources RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${patterns})
	list(REMOVE_ITEM sources ${parsed})
	if(sources)
		list(JOIN sources ", " sources)
		_redoubt_refuse("no redoubt_parser() declares ${sources}: a parser without a fuzz target is not built; "
			"declare it in CMakeLists.txt with a harness and seeds (docs/fuzzing.md)")
	endif()
	foreach(kind host fuzz program)
		get_property(objects GLOBAL PROPERTY REDOUBT_WIRE_${kind})
		if(objects)
			add_library(wire_${kind} STATIC ${objects})
		endif()
	endforeach()
	_redoubt_core_objects()
endfunction()

# The architecture-neutral core on the fake architecture: core_host for unit tests and replays, core_fuzz for fuzzers.
# --wrap: hv/arch/fake/fake_lock.c and fake_heap.c watch the locks and the heap; fake_memory.c knows pages that are zero.
function(_redoubt_core_objects)
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/hv/core/*.c)
	file(GLOB fake CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/hv/arch/fake/*.c)
	if(NOT sources)
		return()
	endif()
	set(kinds "")
	if(REDOUBT_HOST)
		list(APPEND kinds host)
	endif()
	if(REDOUBT_FUZZ)
		list(APPEND kinds fuzz)
	endif()
	set(flags_host ${REDOUBT_SANITIZE})
	set(flags_fuzz ${REDOUBT_ENGINE_FLAGS})
	set(core_flags_host ${flags_host})
	set(core_flags_fuzz ${flags_fuzz})
	foreach(kind ${kinds})
		add_library(core_${kind} OBJECT ${sources})
		if(kind STREQUAL "fuzz")
			set_target_properties(core_fuzz PROPERTIES REDOUBT_TRACED ON)
		endif()
		add_library(fake_${kind} OBJECT ${fake})
		# No fake stack: each longjmp of the fake architecture would have it searched, for a third of the time.
		set(stack "")
		if("${flags_${kind}}" MATCHES "address")
			set(stack -fsanitize-address-use-after-return=never)
		endif()
		# The fake architecture and mbedtls are no aim of the fuzzer, and counting their branches takes another third.
		list(REMOVE_ITEM flags_${kind} -fsanitize=fuzzer-no-link)
		set(ignore "")
		if("${flags_${kind}}" MATCHES "address" AND kind STREQUAL "fuzz")
			set(ignore -fsanitize-ignorelist=${CMAKE_SOURCE_DIR}/fuzz/crypto.ignore)
		endif()
		redoubt_crypto(crypto_${kind} ${flags_${kind}} ${stack} ${ignore} -O2)
		target_include_directories(fake_${kind} PRIVATE ${CMAKE_SOURCE_DIR})
		target_compile_options(fake_${kind} PRIVATE ${flags_${kind}} ${stack} -O2)
		target_link_libraries(core_${kind} INTERFACE $<TARGET_OBJECTS:crypto_${kind}> $<TARGET_OBJECTS:fake_${kind}>)
		target_include_directories(core_${kind} PRIVATE ${CMAKE_SOURCE_DIR})
		target_compile_options(core_${kind} PRIVATE ${core_flags_${kind}} ${stack} -O2)
		foreach(wrapped lock_acquire lock_release heap_init heap_alloc heap_free __asan_memset)
			target_link_options(core_${kind} INTERFACE -Wl,--wrap=${wrapped})
		endforeach()
	endforeach()
endfunction()

# Refuses what nobody declares, and writes the list of targets (docs/fuzzing.md has its form).
function(redoubt_targets_complete)
	get_property(declared GLOBAL PROPERTY REDOUBT_DECLARED)
	foreach(pattern fuzz/fuzz_*.c fuzz/corpus/* fuzz/dict/*.dict fuzz/mutate_*.c)
		file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${pattern})
		list(REMOVE_ITEM found ${declared})
		if(found)
			list(JOIN found ", " found)
			_redoubt_refuse("nobody declares ${found}: name it in a redoubt_parser(), redoubt_reader() or redoubt_core() "
				"of CMakeLists.txt, or delete it (docs/fuzzing.md)")
		endif()
	endforeach()
	if(NOT REDOUBT_FUZZ OR NOT REDOUBT_ENGINE MATCHES "^(libfuzzer|custom)$")
		return()
	endif()
	file(RELATIVE_PATH here ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
	get_filename_component(builds ${here} DIRECTORY)
	get_property(targets GLOBAL PROPERTY REDOUBT_TARGETS)
	list(SORT targets)
	set(all "")
	foreach(name ${targets})
		foreach(word SOURCES HARNESS CORPUS KIND MAX_LEN DICT MUTATOR WITH)
			get_property(${word} GLOBAL PROPERTY REDOUBT_TARGET_${name}_${word})
		endforeach()
		foreach(word SOURCES WITH)
			list(JOIN ${word} "\", \"" ${word})
		endforeach()
		set(dict null)
		if(DICT)
			set(dict "\"${here}/fuzz_${name}.dict\"")
		endif()
		set(mutator null)
		if(MUTATOR)
			set(mutator "\"${here}/mutator_${name}.so\"")
		endif()
		set(afl "\"${builds}/afl/fuzz_${name}\"")
		set(cmplog "\"${builds}/afl-cmplog/fuzz_${name}\"")
		if(NOT REDOUBT_AFL)
			set(afl null)
			set(cmplog null)
		endif()
		set(with "")
		if(WITH)
			set(with "\"${WITH}\"")
		endif()
		string(CONCAT object "{\"name\": \"${name}\", \"harness\": \"${HARNESS}\",\n  \"sources\": [\"${SOURCES}\"],\n"
			"  \"with\": [${with}],\n  \"corpus\": \"${CORPUS}\", \"dict\": ${dict}, \"options\": \"${here}/fuzz_${name}.options\",\n"
			"  \"kind\": \"${KIND}\", \"max_len\": ${MAX_LEN}, \"mutator\": ${mutator},\n"
			"  \"libfuzzer\": \"${here}/fuzz_${name}\", \"afl\": ${afl}, \"cmplog\": ${cmplog},\n"
			"  \"replay\": \"${builds}/host/replay_${name}\", \"cov\": \"${builds}/cov/fuzz_${name}\"}")
		list(APPEND all "${object}")
	endforeach()
	list(JOIN all ",\n " all)
	file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/targets.json CONTENT "[${all}]\n" @ONLY)
endfunction()
