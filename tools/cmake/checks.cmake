# SPDX-License-Identifier: MIT
# Tests that are not programs of this build: house rules, the linked image, the emulated machine.

find_program(REDOUBT_PYTHON python3 HINTS /usr/bin REQUIRED)

file(GLOB style_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/style/test_*.py)
foreach(test ${style_tests})
	get_filename_component(stem ${test} NAME_WE)
	string(REGEX REPLACE "^test_" "" stem ${stem})
	add_test(NAME style.${stem} COMMAND ${REDOUBT_PYTHON} -B ${test} ${REDOUBT_PRODUCT}
		WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
	set_tests_properties(style.${stem} PROPERTIES LABELS "style" TIMEOUT 300)
endforeach()

# fuzz/campaign and fuzz/replay, on a toy target that each test builds.
file(GLOB fuzz_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/test_*.py)
foreach(test ${fuzz_tests})
	get_filename_component(stem ${test} NAME_WE)
	string(REGEX REPLACE "^test_" "" stem ${stem})
	add_test(NAME fuzz.${stem} COMMAND ${REDOUBT_PYTHON} -B ${test} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
	set_tests_properties(fuzz.${stem} PROPERTIES LABELS "fuzz" TIMEOUT 300)
endforeach()

add_test(NAME image.hardening
	COMMAND ${REDOUBT_PYTHON} -B ${CMAKE_SOURCE_DIR}/mitigations/build/check_image.py ${REDOUBT_PRODUCT}/redoubt.elf64)
add_test(NAME image.programs
	COMMAND ${REDOUBT_PYTHON} -B ${CMAKE_SOURCE_DIR}/mitigations/build/check_programs.py ${REDOUBT_PRODUCT})
add_test(NAME image.size COMMAND ${REDOUBT_PYTHON} -B ${CMAKE_SOURCE_DIR}/tools/tcb.py)
set_tests_properties(image.hardening image.programs image.size PROPERTIES LABELS "image" TIMEOUT 300)

file(GLOB attest_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/attest/test_*.py)
foreach(test ${attest_tests})
	get_filename_component(stem ${test} NAME_WE)
	string(REGEX REPLACE "^test_" "" stem ${stem})
	add_test(NAME attest.${stem} COMMAND ${REDOUBT_PYTHON} -B ${test} ${REDOUBT_PRODUCT} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
	set_tests_properties(attest.${stem} PROPERTIES LABELS "attest" TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()

if(NOT REDOUBT_SYSTEM MATCHES "^(none|subset|all)$")
	message(FATAL_ERROR "REDOUBT_SYSTEM is none, subset or all, not '${REDOUBT_SYSTEM}'")
endif()
if(NOT REDOUBT_SYSTEM STREQUAL "none")
	# As `tools/dev style` does after the tests of that label.
	add_test(NAME style.tidy COMMAND ${REDOUBT_PYTHON} -B ${CMAKE_SOURCE_DIR}/tools/tidy.py ${REDOUBT_PRODUCT})
	set_tests_properties(style.tidy PROPERTIES LABELS "tidy" TIMEOUT 900 PROCESSORS 2)
	# OSS-Fuzz's contract with both engines; its folder is kept, so that only the first time takes long.
	add_test(NAME fuzz.oss-fuzz COMMAND ${REDOUBT_PYTHON} -B ${CMAKE_SOURCE_DIR}/fuzz/oss-fuzz/check
		--work ${CMAKE_BINARY_DIR}/oss-fuzz --seconds 2 scsi definition)
	# A known defect in a real parser, from the campaign to fuzz/replay; its folder is kept likewise.
	add_test(NAME fuzz.planted-campaign COMMAND ${REDOUBT_PYTHON} -B ${CMAKE_SOURCE_DIR}/tests/fuzz/campaign_planted.py
		--work ${CMAKE_BINARY_DIR}/planted-campaign)
	set_tests_properties(fuzz.oss-fuzz fuzz.planted-campaign PROPERTIES LABELS "fuzz" TIMEOUT 600)
	# One ctest per machine that is booted; run_tests.py itself knows which there are.
	file(GLOB system_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/system/*.py)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${system_files})
	set(system_script tests/system/run_tests.py)
	set(system_all "")
	if(REDOUBT_SYSTEM STREQUAL "all")
		set(system_all --all)
	endif()
	execute_process(COMMAND ${REDOUBT_PYTHON} -B ${system_script} --list ${system_all}
		WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE system_list COMMAND_ERROR_IS_FATAL ANY)
	string(REGEX MATCHALL "[^\n]+" system_list "${system_list}")
	set(system_cases "")
	foreach(line ${system_list})
		if(NOT line MATCHES "^([^ ]+) ([^ ]+)$")
			message(FATAL_ERROR "${system_script} --list says '${line}', not 'CASE TEST'")
		endif()
		list(APPEND system_cases ${CMAKE_MATCH_1})
		list(APPEND "system_tests_${CMAKE_MATCH_1}" ${CMAKE_MATCH_2})
	endforeach()
	# The main job, as the README's first command runs it.
	add_test(NAME system.main-job
		COMMAND ${REDOUBT_PYTHON} -B tests/system/run_vms.py --build ${REDOUBT_PRODUCT}
		WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
	set_tests_properties(system.main-job PROPERTIES LABELS "system" TIMEOUT 900 RUN_SERIAL TRUE)
	# From the firmware to a machine's report, and what must be refused.
	set(attest_all "")
	if(REDOUBT_SYSTEM STREQUAL "all")
		set(attest_all --all)
	endif()
	add_test(NAME system.attest
		COMMAND ${REDOUBT_PYTHON} -B tests/system/run_attest.py --build ${REDOUBT_PRODUCT} ${attest_all}
		WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
	set_tests_properties(system.attest PROPERTIES LABELS "system" TIMEOUT 1800 RUN_SERIAL TRUE)
	list(REMOVE_DUPLICATES system_cases)
	foreach(case ${system_cases})
		list(JOIN "system_tests_${case}" "|" words)
		# system.log lets `tools/dev test` show the progress, which ctest would keep until the end.
		add_test(NAME system.${case} COMMAND bash -o pipefail -c
			"${REDOUBT_PYTHON} -B -u ${system_script} \"$@\" 2>&1 | tee -a ${CMAKE_BINARY_DIR}/system.log"
			bash --build ${REDOUBT_PRODUCT} --only "^${case} (${words})$"
			WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
		# Alone, because a machine uses both CPUs of a small computer.
		set_tests_properties(system.${case} PROPERTIES LABELS "system" TIMEOUT 2400 RUN_SERIAL TRUE)
	endforeach()
endif()
