# SPDX-License-Identifier: MIT
# The product: redoubt.elf64 (static PIE), redoubt.elf (the 32-bit wrapper that loaders take), programs of the root.

set(hv_folders hv/core hv/arch/x86 hv/arch/svm hv/boot)
set(hv_sources "")
foreach(folder ${hv_folders})
	file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c ${CMAKE_SOURCE_DIR}/${folder}/*.S)
	list(APPEND hv_sources ${found})
endforeach()
file(GLOB hv_early CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/hv/boot/early*.c)
if(hv_early)
	set_source_files_properties(${hv_early} PROPERTIES COMPILE_OPTIONS "${REDOUBT_EARLY}")
endif()
if(NOT hv_sources)
	message(FATAL_ERROR "no hypervisor sources in ${hv_folders}")
endif()

# One file says whether hypervisor memory is kept from the root. A second image links its opposite, so that the
# tests of the attacks can show that the attacks work without it.
set(hv_protect ${CMAKE_SOURCE_DIR}/hv/core/protect.c)
list(REMOVE_ITEM hv_sources ${hv_protect})
add_library(hv_objects OBJECT ${hv_sources})
add_library(hv_protect OBJECT ${hv_protect})
add_library(hv_protect_off OBJECT ${CMAKE_SOURCE_DIR}/tests/system/unprotected/protect_off.c)
foreach(target hv_objects hv_protect hv_protect_off)
	target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
	target_compile_options(${target} PRIVATE
		"$<$<COMPILE_LANGUAGE:C>:${REDOUBT_HV_COMMON}>"
		"$<$<COMPILE_LANGUAGE:ASM>:${REDOUBT_HV_ASM}>")
endforeach()

redoubt_crypto(hv_crypto ${REDOUBT_HV_COMMON} "SHELL:-isystem ${CMAKE_SOURCE_DIR}/hv/crypto/libc")

find_program(REDOUBT_LLD ld.lld-16 REQUIRED)
find_program(REDOUBT_PYTHON python3 HINTS /usr/bin REQUIRED)
set(hv_script ${CMAKE_SOURCE_DIR}/hv/boot/hv.ld)
set(hv_wrap ${CMAKE_SOURCE_DIR}/tools/mkelf32.py)
get_property(hv_wire GLOBAL PROPERTY REDOUBT_WIRE_hv)
set(hv_shared "$<TARGET_OBJECTS:hv_objects>" "$<TARGET_OBJECTS:hv_crypto>" ${hv_wire})
set(hv_inputs ${hv_shared} "$<TARGET_OBJECTS:hv_protect>")

# What the linker takes, for mitigations/build/check_image.py: after link-time optimisation the map no longer says it.
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/redoubt.inputs CONTENT "$<JOIN:${hv_inputs},\n>\n")

# redoubt_image(NAME OBJECTS): NAME.elf64 and NAME.elf
function(redoubt_image name objects)
	set(image ${CMAKE_BINARY_DIR}/${name})
	add_custom_command(
		OUTPUT ${image}.elf64
		BYPRODUCTS ${image}.map
		COMMAND ${REDOUBT_LLD} ${REDOUBT_HV_LINK} -T ${hv_script} -Map=${image}.map -o ${image}.elf64 ${objects}
		DEPENDS ${objects} ${hv_script}
		COMMENT "Linking ${name}.elf64"
		COMMAND_EXPAND_LISTS VERBATIM)
	add_custom_command(
		OUTPUT ${image}.elf
		COMMAND ${REDOUBT_PYTHON} ${hv_wrap} ${image}.elf64 ${image}.elf
		DEPENDS ${image}.elf64 ${hv_wrap}
		COMMENT "Wrapping ${name}.elf"
		VERBATIM)
endfunction()
redoubt_image(redoubt "${hv_inputs}")
redoubt_image(redoubt-unprotected "${hv_shared};$<TARGET_OBJECTS:hv_protect_off>")
add_custom_target(redoubt ALL DEPENDS ${CMAKE_BINARY_DIR}/redoubt.elf)
add_custom_target(redoubt_unprotected ALL DEPENDS ${CMAKE_BINARY_DIR}/redoubt-unprotected.elf)

# What the programs of the root share: start-up, messages, channels, the sandbox; a program takes what it needs of it.
find_library(REDOUBT_SECCOMP libseccomp.a)
if(NOT REDOUBT_SECCOMP)
	message(FATAL_ERROR "libseccomp.a: not found: apt-get install libseccomp-dev")
endif()
file(GLOB host_lib CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/hv/host/lib/*.c ${CMAKE_SOURCE_DIR}/mitigations/sandbox/*.c)
add_library(host_lib STATIC ${host_lib})
target_include_directories(host_lib PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(host_lib PRIVATE ${REDOUBT_PROGRAM})

# redoubt_program(NAME [library.a package ...]): the program of this folder, from all its sources. Each static library is
# named with the Debian package that has it.
function(redoubt_program name)
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
	add_executable(${name} ${sources})
	target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
	target_compile_options(${name} PRIVATE ${REDOUBT_PROGRAM})
	target_link_options(${name} PRIVATE ${REDOUBT_PROGRAM_LINK})
	target_link_libraries(${name} PRIVATE host_lib wire_program ${REDOUBT_SECCOMP})
	set(rest ${ARGN})
	while(rest)
		list(POP_FRONT rest library package)
		find_library(REDOUBT_${library} ${library})
		if(NOT REDOUBT_${library})
			message(FATAL_ERROR "${library}: not found: apt-get install ${package}")
		endif()
		target_link_libraries(${name} PRIVATE ${REDOUBT_${library}})
	endwhile()
endfunction()

# One program per folder of hv/host, except hv/host/lib.
file(GLOB host_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true ${CMAKE_SOURCE_DIR}/hv/host/*)
foreach(folder ${host_folders})
	get_filename_component(program ${folder} NAME)
	file(GLOB program_sources CONFIGURE_DEPENDS ${folder}/*.c)
	if(program STREQUAL "lib" OR NOT program_sources)
		continue()
	endif()
	if(EXISTS ${folder}/CMakeLists.txt) # needs a library of its own
		set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
		add_subdirectory(${folder})
		continue()
	endif()
	message(FATAL_ERROR "hv/host/${program} has no CMakeLists.txt: write redoubt_program(${program})")
endforeach()

# Nothing new that an untrusted party can ask for gets into a build unseen: tools/surface.py says what moved and what to do.
file(GLOB_RECURSE surface_inputs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/hv/*.c ${CMAKE_SOURCE_DIR}/hv/*.h ${CMAKE_SOURCE_DIR}/hv/*.def
	${CMAKE_SOURCE_DIR}/attest/*.c ${CMAKE_SOURCE_DIR}/attest/*.h ${CMAKE_SOURCE_DIR}/mitigations/sandbox/*.[ch])
add_custom_command(
	OUTPUT ${CMAKE_BINARY_DIR}/surface.stamp
	COMMAND ${REDOUBT_PYTHON} -B ${CMAKE_SOURCE_DIR}/tools/surface.py --build
	COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/surface.stamp
	DEPENDS ${surface_inputs} ${CMAKE_SOURCE_DIR}/CMakeLists.txt ${CMAKE_SOURCE_DIR}/docs/surface-reviews.json
		${CMAKE_SOURCE_DIR}/tools/surface.py ${CMAKE_SOURCE_DIR}/tools/surface_sources.py
	COMMENT "Comparing the attack surface with its reviews"
	VERBATIM)
add_custom_target(surface ALL DEPENDS ${CMAKE_BINARY_DIR}/surface.stamp)

# What judges the evidence, and what computes it offline: programs for any Linux.
foreach(folder attest/verify attest/measure attest/guest)
	set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
	add_subdirectory(${folder})
endforeach()
