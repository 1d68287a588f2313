/* SPDX-License-Identifier: MIT */
#ifndef HV_BOOT_EARLY_H
#define HV_BOOT_EARLY_H
/* Boot code: runs once, on the first CPU, on the loader's identity map, before the hypervisor's own address space exists. */
#include "hv/core/handoff.h"

/* One clear line on the serial port, then halt: "redoubt: error: <what>: <field> (<value>): <remedy>; halted". */
NORETURN void early_fail(const char *what, const char *field, uint64_t value, const char *remedy);
void early_warn(const char *what, const char *field, uint64_t value, const char *remedy);

/* Makes the image at `at` believe that it runs at `base`. May be repeated. */
void early_relocate(uint64_t at, uint64_t base);

/* early_measure.c */
size_t early_length(const char *s, size_t max);
void early_measure_image(struct handoff_measured *m);
void early_measure(struct boot_handoff *h, const struct view *v);

/* layout.c: decides where everything lies; pure. false: *why says what does not fit. */
struct layout_limits {
	uint64_t image_bytes; /* of the running image, with .bss */
	uint64_t hv_bytes;    /* wanted for the hypervisor */
	uint64_t random;      /* picks the place */
};
bool layout_place(struct boot_handoff *h, const struct layout_limits *l, uint64_t *kernel_at,
		  uint64_t *params_at, struct wire_fault *why);
#define LAYOUT_PARAMS_BYTES \
	0x10000ull /* boot_params, command line, page tables, GDT of the root's first moments */

/* rootload.c: copies the kernel to its place and fills the boot parameters. */
void rootload(struct boot_handoff *h, const struct view *v, uint64_t kernel_at, uint64_t params_at);

#endif
