# SPDX-License-Identifier: MIT
# dsdt.asl -> dsdt_aml.c in the build folder. As a script (cmake -P) it does that: ASL to bytes, bytes to an array.
if(CMAKE_SCRIPT_MODE_FILE)
	# 6033: "_HID string must be exactly 7 or 8 characters". Hyper-V's "VMBus" is not, and Linux looks for it.
	execute_process(COMMAND ${IASL} -vs -we -vw 6033 -p ${MADE} ${ASL} RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
	if(NOT result EQUAL 0)
		message(FATAL_ERROR "iasl: status ${result}\n${said}")
	endif()
	file(READ ${MADE}.aml bytes HEX)
	string(REGEX REPLACE "(..)" "0x\\1, " bytes "${bytes}")
	file(WRITE ${MADE}.c "#include \"hv/host/vmworker/acpi.h\"\n"
		"const uint8_t acpi_dsdt[] = { ${bytes}};\n"
		"const uint32_t acpi_dsdt_bytes = sizeof(acpi_dsdt);\n")
	return()
endif()

# vmworker_dsdt(TARGET...): adds the compiled table to these targets.
function(vmworker_dsdt)
	set(made ${CMAKE_BINARY_DIR}/dsdt_aml)
	set(here ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
	if(NOT TARGET vmworker_dsdt)
		find_program(REDOUBT_IASL iasl)
		if(NOT REDOUBT_IASL)
			message(FATAL_ERROR "iasl: not found: apt-get install acpica-tools")
		endif()
		add_custom_command(
			OUTPUT ${made}.c
			COMMAND ${CMAKE_COMMAND} -DIASL=${REDOUBT_IASL} -DASL=${here}/dsdt.asl -DMADE=${made} -P ${here}/dsdt.cmake
			BYPRODUCTS ${made}.aml
			DEPENDS ${here}/dsdt.asl ${here}/dsdt.cmake
			COMMENT "Compiling dsdt.asl"
			VERBATIM)
		add_custom_target(vmworker_dsdt DEPENDS ${made}.c)
	endif()
	foreach(target ${ARGN})
		add_dependencies(${target} vmworker_dsdt)
		target_sources(${target} PRIVATE ${made}.c)
	endforeach()
	set_source_files_properties(${made}.c PROPERTIES GENERATED TRUE)
endfunction()
