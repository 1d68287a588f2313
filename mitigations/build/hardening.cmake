# SPDX-License-Identifier: MIT
# Every compiler and linker flag of the project that is about warnings or hardening. Nothing else sets such flags.
# mitigations/build/check_image.py has its own list and proves on the built image that they had their effect.

set(REDOUBT_WARNINGS
	-Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough)

# Reproducible: no path of the building machine in the objects.
set(REDOUBT_REPRODUCIBLE "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=" "-ffile-compilation-dir=.")

# The target is linux-gnu, not none-elf: only there does clang take the stack canary from %gs:40 instead of a global.
set(REDOUBT_FREESTANDING
	--target=x86_64-unknown-linux-gnu -ffreestanding -nostdlibinc)

set(REDOUBT_HV_COMMON
	# Link-time optimisation: the core calls the processor's accessors through hv/core/arch.h on every exit.
	-std=gnu11 -O2 -g -flto=full
	${REDOUBT_FREESTANDING}
	${REDOUBT_REPRODUCIBLE}
	-fPIE -fdirect-access-external-data -fvisibility=hidden
	-mno-red-zone -mgeneral-regs-only
	-fno-asynchronous-unwind-tables
	-fno-common
	# The compiler may not use undefined behaviour against us ...
	-fno-strict-aliasing -fno-delete-null-pointer-checks
	# ... and what is left of it traps.
	-fsanitize=bounds,shift,signed-integer-overflow,integer-divide-by-zero,unreachable,vla-bound,bool,enum,return,builtin
	-fsanitize-trap=all
	-ftrivial-auto-var-init=zero
	# A switch never becomes an indirect jump.
	-fno-jump-tables
	# The canary is per CPU, at %gs:40.
	-fstack-protector-strong -mstack-protector-guard=tls
	-mstack-protector-guard-reg=gs -mstack-protector-guard-offset=40
	# Below the size of a stack's guard page.
	-Wframe-larger-than=2048
	${REDOUBT_WARNINGS})

set(REDOUBT_HV_ASM
	${REDOUBT_FREESTANDING} ${REDOUBT_REPRODUCIBLE} -g -Werror)

# ld.lld is called directly, so that no default of the compiler driver changes the image.
set(REDOUBT_HV_LINK
	-m elf_x86_64 --lto-O2 -pie --no-dynamic-linker -z noexecstack -z max-page-size=4096 -z text
	--build-id=none --fatal-warnings --no-undefined)

# Code that runs before the per-CPU block behind %gs exists has no canary to read.
set(REDOUBT_EARLY -fno-stack-protector)

# Programs of the root partition: static PIE, so that they run in any initramfs.
set(REDOUBT_PROGRAM
	-std=gnu11 -O2 -g -D_GNU_SOURCE -D_FORTIFY_SOURCE=3 ${REDOUBT_REPRODUCIBLE}
	-fPIE -fvisibility=hidden -fno-strict-aliasing -fno-delete-null-pointer-checks
	-fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero
	-fsanitize=bounds,signed-integer-overflow,integer-divide-by-zero -fsanitize-trap=all
	# An indirect call reaches only functions of its type; that needs the whole program at link time.
	-flto=thin -fsanitize=cfi-icall -fcf-protection=full
	${REDOUBT_WARNINGS})
# Parsers in these programs: the same sources as in the hypervisor and the fuzz targets, freestanding here as there.
set(REDOUBT_PROGRAM_WIRE ${REDOUBT_PROGRAM} -ffreestanding -nostdlibinc)
list(REMOVE_ITEM REDOUBT_PROGRAM_WIRE -D_FORTIFY_SOURCE=3)
set(REDOUBT_PROGRAM_LINK
	--ld-path=/usr/bin/ld.lld-16 -static-pie -flto=thin -fsanitize=cfi-icall -fsanitize-trap=all
	-Wl,-z,noexecstack,-z,relro,-z,now,--build-id=none,--fatal-warnings)

# Unit tests, corpus replay and fuzz targets: the same sources ...
set(REDOUBT_CHECKED
	-std=gnu11 -O1 -g -D_GNU_SOURCE -fno-omit-frame-pointer -fno-strict-aliasing
	# What was never written has a pattern that fuzz/oracle.h knows where a guest could read it.
	-ftrivial-auto-var-init=pattern
	${REDOUBT_WARNINGS})
# ... with every sanitizer; the first finding ends the program.
set(REDOUBT_SANITIZE ${REDOUBT_CHECKED} -fsanitize=address,undefined -fno-sanitize-recover=all)
set(REDOUBT_SANITIZE_LINK -fuse-ld=lld -fsanitize=address,undefined)
