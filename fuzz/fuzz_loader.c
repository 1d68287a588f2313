// SPDX-License-Identifier: MIT
/*
 * Input: byte 0: how much memory; bytes 1 to 3: bytes of the initrd, 0 none (of a file that is larger, 0xffffff: of none); bytes 4 and 5:
 * bytes of the command line; byte 6: a read that fails, or a kernel that is none (KERNEL_*); then the kernel's file. Checked: what was written is in the ranges for the launch
 * measurement, whole pages, ascending, disjoint, and nothing else is; the entry lies in memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz/heap.h"
#include "hv/host/vmworker/acpi.h"
#include "hv/host/vmworker/loader.h"
#include "hv/wire/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 7u
#define CMDLINE_MAX 5000u
#define MIB (1024 * 1024ull)

/* Descriptors of files that are this harness's: a regular one each, and one that is none. */
/* Byte 6, upper half, beside 8 (a folder) and 0xc (larger than any kernel). */
enum { KERNEL_LOST = 4, KERNEL_NO_MEMORY, KERNEL_NO_VPS, INITRD_LOST };

enum { KERNEL = 6000, INITRD, FOLDER, LOST };
#define MEMORY_MAX (5120 * MIB)

static const uint8_t *image;
static uint64_t kernel_bytes, image_bytes, initrd_bytes;
static uint32_t countdown; /* to a read that fails; 0: none does */
static int error;          /* 0: it ends early */
static bool no_memory;     /* for the kernel's copy */

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

void *__wrap_malloc(size_t n)
{
	return no_memory && n == image_bytes ? NULL : __real_malloc(n);
}

/* The compiler of ACPI is not what is fuzzed. */
uint32_t acpi_build(uint8_t *to, uint64_t at, uint32_t vp_count)
{
	if (vp_count == 0) {
		return 0;
	}
	memset(to, (int)vp_count, ACPI_TABLES_BYTES);
	return at == LOADER_ACPI ? ACPI_TABLES_BYTES : 0;
}

int fstat(int fd, struct stat *st)
{
	if (fd < KERNEL || fd > LOST) {
		return (int)syscall(SYS_fstat, fd, st);
	}
	if (fd == LOST) { /* what it would say of the file stands there */
		st->st_mode = S_IFREG;
		st->st_size = (off_t)kernel_bytes;
		errno = EIO;
		return -1;
	}
	memset(st, 0, sizeof(*st));
	st->st_mode = fd == FOLDER ? S_IFDIR : S_IFREG;
	st->st_size = (off_t)(fd == KERNEL ? kernel_bytes : initrd_bytes);
	return 0;
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
	uint64_t size = fd == KERNEL || fd == LOST ? kernel_bytes : initrd_bytes;

	if (fd < KERNEL || fd > LOST) {
		return syscall(SYS_pread64, fd, to, n, at);
	}
	oracle_room(to, n);
	if (countdown != 0 && --countdown == 0) {
		errno = error;
		return error != 0 ? -1 : 0;
	}
	n = n < 40000 ? n : n / 2 + 1;
	n = (uint64_t)at + n <= size ? n : (size_t)(size - (uint64_t)at);
	if (fd == KERNEL || fd == LOST) {
		CHECK_FUZZ((uint64_t)at + n <= image_bytes);
		memcpy(to, image + at, n);
	} else {
		memset(to, 0x11, n);
	}
	return (ssize_t)n;
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
		oracle_said_number(r->gpa);
		oracle_said_number(end);
		if (gmem_check(m, end, 4096)) {
			ORACLE(memcmp(gmem_direct(m, end, 4096), zero, 4096) == 0 ||
				       (i + 1 < s->range_count && s->range[i + 1].gpa == end),
			       "written, and not measured");
		}
	}
}

/* What the kernel is told: its initrd lies in memory below 3 GiB, and not where the kernel unpacks itself. */
static void check_initrd(const struct gmem *m)
{
	const uint8_t *bp = gmem_direct(m, LOADER_BOOT_PARAMS, 4096);
	uint64_t at = le32(bp + 0x218) | (uint64_t)le32(bp + 0x0c0) << 32;
	uint64_t bytes = le32(bp + 0x21c) | (uint64_t)le32(bp + 0x0c4) << 32;
	uint64_t kernel = le64(bp + 0x258), room = le32(bp + 0x260);

	ORACLE(gmem_check(m, kernel, room), "a kernel that memory is too small for");
	ORACLE(bytes == 0 || (gmem_check(m, at, bytes) && !range_overlaps(at, bytes, kernel, room)),
	       "an initrd over the kernel");
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
	static uint8_t *base;
	struct loader_start start;
	struct gmem m;
	char text[128] = "";
	uint32_t n;
	bool good;

	if (size < HEAD) {
		return 0;
	}
	if (base == NULL) {
		base = mmap(NULL, MEMORY_MAX, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		CHECK_FUZZ(base != MAP_FAILED);
	}
	m.size = mib[data[0] % (sizeof(mib) / sizeof(mib[0]))] * MIB;
	m.size = m.size != 0 ? m.size : 32 * 4096;
	m.base = base;
	image = data + HEAD;
	image_bytes = kernel_bytes = size - HEAD;
	n = (uint32_t)data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16;
	if (n != 0) {
		initrd_bytes = n < 0x40000 ? n : n < 0xf00000 ? 0x40000 : (uint64_t)n << 8;
		in.initrd = n == 0xffffff ? FOLDER : INITRD;
	}
	n = ((uint32_t)data[4] | (uint32_t)data[5] << 8) % (CMDLINE_MAX + 1);
	memset(cmdline, 'a', n);
	cmdline[n] = '\0';
	no_memory = data[6] >> 4 == KERNEL_NO_MEMORY;
	in.vp_count = data[6] >> 4 == KERNEL_NO_VPS ? 0 : 2;
	if (data[6] >> 4 == INITRD_LOST && in.initrd >= 0) {
		in.initrd = LOST;
	}
	countdown = data[6] & 15;
	error = (data[6] & 0x20) != 0 ? EINTR : (data[6] & 0x10) != 0 ? EIO : 0;
	kernel_bytes = (data[6] & 0xc0) == 0xc0 ? 257 * MIB : kernel_bytes;
	in.kernel = (data[6] & 0xc0) == 0x80 ? FOLDER : data[6] >> 4 == KERNEL_LOST ? LOST : KERNEL;
	heap_begin();
	good = loader_load(&m, &in, &start, text, sizeof(text));
	heap_end();
	ORACLE(good == (text[0] == '\0') && memchr(text, '\0', sizeof(text)) != NULL,
	       "a refusal without a reason");
	oracle_said_text(text);
	no_memory = false;
	if (good) {
		/* The setup header in it is the image's own, which may look like anything. */
		if (!oracle_poisoned(image, image_bytes < 4096 ? image_bytes : 4096)) {
			oracle_clean(gmem_direct(&m, LOADER_BOOT_PARAMS, 4096), 4096);
		}
		check(&m, &start);
		check_initrd(&m);
		check_registers(&start);
	}
	/* Clean for the next input. */
	CHECK_FUZZ(madvise(base, m.size, MADV_DONTNEED) == 0);
	return 0;
}
