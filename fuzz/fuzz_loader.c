// SPDX-License-Identifier: MIT
/*
 * Input: byte 0: how much memory; bytes 1 to 3: bytes of the initrd, 0 none (of a file that is larger, 0xffffff: of none); bytes 4 and 5:
 * bytes of the command line; byte 6: a read that fails; then the kernel's file. Checked: what was written is in the ranges for the launch
 * measurement, whole pages, ascending, disjoint, and nothing else is; the entry lies in memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz/oracle.h"
#include "hv/host/vmworker/acpi.h"
#include "hv/host/vmworker/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 7u
#define CMDLINE_MAX 5000u
#define MIB (1024 * 1024ull)

static int kernel = -1, initrd = -1, folder[2];
static uint32_t countdown; /* to a read that fails; 0: none does */
static int error;          /* 0: it ends early */

/* The compiler of ACPI is not what is fuzzed. */
uint32_t acpi_build(uint8_t *to, uint64_t at, uint32_t vp_count)
{
	memset(to, (int)vp_count, ACPI_TABLES_BYTES);
	return at == LOADER_ACPI ? ACPI_TABLES_BYTES : 0;
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
	if (countdown != 0 && --countdown == 0) {
		errno = error;
		return error != 0 ? -1 : 0;
	}
	return syscall(SYS_pread64, fd, to, n < 40000 ? n : n / 2 + 1, at);
}

static void check(const struct gmem *m, const struct loader_start *s)
{
	static const uint8_t zero[4096];
	uint64_t end = 0;

	ORACLE(s->range_count != 0 && s->range_count <= LOADER_RANGES, "ranges");
	ORACLE(gmem_check(m, s->entry, 1), "the entry is outside memory");
	for (uint32_t i = 0; i < s->range_count; i++) {
		const struct loader_range *r = &s->range[i];

		ORACLE(r->gpa % 4096 == 0 && r->bytes % 4096 == 0 && r->bytes != 0 &&
			       (i == 0 || r->gpa > end),
		       "a range of pages");
		ORACLE(gmem_check(m, r->gpa, r->bytes), "a range outside memory");
		/* What lies before it was not written; it looks at the last page of it. */
		if (r->gpa > end) {
			ORACLE(memcmp(gmem_direct(m, r->gpa - 4096, 4096), zero, 4096) == 0,
			       "written, and not measured");
		}
		end = r->gpa + r->bytes;
		if (gmem_check(m, end, 4096)) {
			ORACLE(memcmp(gmem_direct(m, end, 4096), zero, 4096) == 0 ||
				       (i + 1 < s->range_count && s->range[i + 1].gpa == end),
			       "written, and not measured");
		}
	}
}

static void check_registers(const struct loader_start *s)
{
	struct hv_register_assoc assoc[LOADER_REGS];
	uint32_t n = loader_registers(s, assoc);

	ORACLE(n <= LOADER_REGS, "more registers than there is room for");
	for (uint32_t i = 0; i < n; i++) {
		ORACLE(assoc[i].name != HV_REG_RIP || assoc[i].value.low == s->entry, "RIP");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t mib[] = { 64, 16, 1, 0, 128, 2048, 3072, 4096, 5120 };
	static char cmdline[CMDLINE_MAX + 1];
	struct loader_input in = { .cmdline = cmdline, .vp_count = 2, .initrd = -1 };
	struct loader_start start;
	struct gmem m;
	char text[128] = "";
	uint32_t n;
	bool good;

	if (size < HEAD) {
		return 0;
	}
	if (kernel < 0) {
		kernel = memfd_create("kernel", MFD_CLOEXEC);
		initrd = memfd_create("initrd", MFD_CLOEXEC);
		CHECK_FUZZ(kernel >= 0 && initrd >= 0 && pipe(folder) == 0);
	}
	m.size = mib[data[0] % (sizeof(mib) / sizeof(mib[0]))] * MIB;
	m.size = m.size != 0 ? m.size : 32 * 4096;
	m.base = mmap(NULL, m.size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK_FUZZ(m.base != MAP_FAILED);
	n = (uint32_t)data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16;
	if (n != 0) {
		/* A file without content is made long: reading it costs its pages. */
		CHECK_FUZZ(ftruncate(initrd, n < 0x40000    ? n
					     : n < 0xf00000 ? 0x40000
							    : (off_t)n << 8) == 0);
		in.initrd = n == 0xffffff ? folder[0] : initrd;
	}
	n = ((uint32_t)data[4] | (uint32_t)data[5] << 8) % (CMDLINE_MAX + 1);
	memset(cmdline, 'a', n);
	cmdline[n] = '\0';
	countdown = data[6] & 15;
	error = (data[6] & 0x20) != 0 ? EINTR : (data[6] & 0x10) != 0 ? EIO : 0;
	CHECK_FUZZ(ftruncate(kernel, 0) == 0 && ftruncate(kernel, (off_t)(size - HEAD)) == 0 &&
		   pwrite(kernel, data + HEAD, size - HEAD, 0) == (ssize_t)(size - HEAD));
	if ((data[6] & 0xc0) == 0xc0) {
		CHECK_FUZZ(ftruncate(kernel, 257 << 20) == 0);
	}
	in.kernel = (data[6] & 0xc0) == 0x80 ? folder[0] : kernel;
	good = loader_load(&m, &in, &start, text, sizeof(text));
	ORACLE(good == (text[0] == '\0') && memchr(text, '\0', sizeof(text)) != NULL,
	       "a refusal without a reason");
	if (good) {
		check(&m, &start);
		check_registers(&start);
	}
	(void)munmap(m.base, m.size);
	return 0;
}
