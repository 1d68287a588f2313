# SPDX-License-Identifier: MIT
# mbedtls in the hypervisor, its unit tests and its fuzz targets: the same sources, hv/crypto/*.c, which include the
# files of Debian's source package that it needs. Its headers are system headers, so that our warnings are for us.

execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/mbedtls.sh
	OUTPUT_VARIABLE REDOUBT_MBEDTLS OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/mbedtls.sh)
set(REDOUBT_CRYPTO_FLAGS
	"SHELL:-isystem ${REDOUBT_MBEDTLS}/include" "SHELL:-isystem ${REDOUBT_MBEDTLS}"
	"-ffile-prefix-map=${REDOUBT_MBEDTLS}/=mbedtls/" "-DMBEDTLS_CONFIG_FILE=\"hv/crypto/config.h\"")

# redoubt_crypto(TARGET flags...): an object library of it. Hidden, because some tests also link Debian's libmbedcrypto.
function(redoubt_crypto target)
	add_library(${target} OBJECT ${CMAKE_SOURCE_DIR}/hv/crypto/crypto.c ${CMAKE_SOURCE_DIR}/hv/crypto/sha256.c)
	target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
	target_compile_options(${target} PRIVATE ${ARGN} -fvisibility=hidden ${REDOUBT_CRYPTO_FLAGS})
endfunction()
