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

find_program(REDOUBT_LLD ld.lld-16 REQUIRED)
find_program(REDOUBT_PYTHON python3 HINTS /usr/bin REQUIRED)
set(hv_script ${CMAKE_SOURCE_DIR}/hv/boot/hv.ld)
set(hv_wrap ${CMAKE_SOURCE_DIR}/tools/mkelf32.py)
get_property(hv_wire GLOBAL PROPERTY REDOUBT_WIRE_hv)
set(hv_shared "$<TARGET_OBJECTS:hv_objects>" ${hv_wire})
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

# One program per folder of hv/host, except hv/host/lib, which is linked into each.
file(GLOB host_lib CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/hv/host/lib/*.c)
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
	add_executable(${program} ${program_sources} ${host_lib})
	target_include_directories(${program} PRIVATE ${CMAKE_SOURCE_DIR})
	target_compile_options(${program} PRIVATE ${REDOUBT_PROGRAM})
	target_link_options(${program} PRIVATE ${REDOUBT_PROGRAM_LINK})
endforeach()
