# SPDX-License-Identifier: MIT
# The sources of redoubt.ko in user space, for the fuzz target ioctl: the kernel's headers that they include are
# fuzz/ko/kernel.h; warnings that the kernel's own style earns are off.
set(REDOUBT_MODULE hv/root/main.c hv/root/partition.c hv/root/vp.c hv/root/memory.c hv/root/channel.c hv/root/notify.c
	hv/root/hypercall.c)
foreach(source ${REDOUBT_MODULE})
	file(STRINGS ${source} lines REGEX "^#include <(linux|asm)/")
	list(APPEND headers ${lines})
endforeach()
file(GLOB more ${CMAKE_SOURCE_DIR}/hv/root/*.h)
foreach(source ${more})
	file(STRINGS ${source} lines REGEX "^#include <(linux|asm)/")
	list(APPEND headers ${lines})
endforeach()
list(TRANSFORM headers REPLACE "^#include <(.*)>.*" "\\1")
list(REMOVE_DUPLICATES headers)
list(REMOVE_ITEM headers linux/errno.h linux/ioctl.h) # the C library's own headers want the real ones
foreach(header ${headers})
	file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/ko/${header} CONTENT "#include \"fuzz/ko/kernel.h\"\n")
endforeach()
set_source_files_properties(${REDOUBT_MODULE} fuzz/fuzz_ioctl.c PROPERTIES
	INCLUDE_DIRECTORIES ${CMAKE_BINARY_DIR}/ko
	COMPILE_OPTIONS "-Wno-unused-parameter;-Wno-sign-compare;-Wno-missing-prototypes;-Wno-pointer-arith;-Wno-format")
