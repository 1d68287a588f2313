/* SPDX-License-Identifier: MIT */
#include "hv/core/tpm_tis.h"

#include "hv/core/arch.h"
#include "hv/core/time.h"
#include "hv/wire/tpm2.h"

#define REG_ACCESS 0x00u
#define REG_STS 0x18u
#define REG_FIFO 0x24u
#define REG_INTERFACE 0x30u

#define ACCESS_VALID 0x80u
#define ACCESS_ACTIVE 0x20u /* writing it gives the locality up */
#define ACCESS_SEIZE 0x08u
#define ACCESS_REQUEST 0x02u

#define STS_VALID 0x80u
#define STS_READY 0x40u
#define STS_GO 0x20u
#define STS_DATA 0x10u
#define STS_EXPECT 0x08u

#define INTERFACE_FIFO 0x0u /* low four bits */
#define INTERFACE_TIS 0xfu

/* Longer than the profile's own time-outs, which a TPM may exceed at its first command. */
#define WAIT_NS 2000000000ull
#define COMMAND_NS 20000000000ull

static hpa_t at(uint32_t locality, uint32_t reg)
{
	return hpa(TIS_BASE + locality * TIS_LOCALITY_BYTES + reg);
}

static uint32_t read8(uint32_t locality, uint32_t reg)
{
	return (uint32_t)arch_mmio_read(at(locality, reg), 1) & 0xff;
}

static uint32_t status(uint32_t locality)
{
	return (uint32_t)arch_mmio_read(at(locality, REG_STS), 4);
}

/* Waits until `want` of the masked bits of the status are set. */
static bool wait_status(uint32_t locality, uint32_t mask, uint32_t want, uint64_t ns)
{
	uint64_t start = time_ns();

	do {
		if ((status(locality) & mask) == want) {
			return true;
		}
		arch_cpu_relax();
	} while (time_ns() - start < ns);
	return false;
}

static bool wait_active(uint32_t locality)
{
	uint64_t start = time_ns();

	do {
		uint32_t a = read8(locality, REG_ACCESS);

		if (a != 0xff &&
		    (a & (ACCESS_VALID | ACCESS_ACTIVE)) == (ACCESS_VALID | ACCESS_ACTIVE)) {
			return true;
		}
		arch_cpu_relax();
	} while (time_ns() - start < WAIT_NS);
	return false;
}

enum tis_error tis_open(uint32_t locality)
{
	uint32_t interface = (uint32_t)arch_mmio_read(at(0, REG_INTERFACE), 4) & 0xf;
	uint32_t access = read8(0, REG_ACCESS);

	if (access == 0xff || (access & ACCESS_VALID) == 0 ||
	    (interface != INTERFACE_FIFO && interface != INTERFACE_TIS)) {
		return TIS_ABSENT;
	}
	if ((access & ACCESS_ACTIVE) != 0) {
		arch_mmio_write(at(0, REG_ACCESS), 1, ACCESS_ACTIVE);
	}
	arch_mmio_write(at(locality, REG_ACCESS), 1, ACCESS_REQUEST);
	if (wait_active(locality)) {
		return TIS_OK;
	}
	arch_mmio_write(at(locality, REG_ACCESS), 1, ACCESS_SEIZE);
	return wait_active(locality) ? TIS_OK : TIS_LOCALITY;
}

void tis_close(uint32_t locality)
{
	arch_mmio_write(at(locality, REG_STS), 4, STS_READY);
	arch_mmio_write(at(locality, REG_ACCESS), 1, ACCESS_ACTIVE);
}

/* How many bytes the FIFO takes or gives at once; 0: none in time. */
static uint32_t burst(uint32_t locality)
{
	uint64_t start = time_ns();

	do {
		uint32_t n = status(locality) >> 8 & 0xffff;

		if (n != 0 && n != 0xffff) {
			return n;
		}
		arch_cpu_relax();
	} while (time_ns() - start < WAIT_NS);
	return 0;
}

static bool send(uint32_t locality, const uint8_t *command, size_t n)
{
	size_t done = 0;

	while (done < n) {
		uint32_t room = burst(locality);

		if (room == 0) {
			return false;
		}
		for (; room != 0 && done < n; room--) {
			arch_mmio_write(at(locality, REG_FIFO), 1, command[done++]);
		}
	}
	/* It has all of it: nothing more is expected. */
	return wait_status(locality, STS_VALID | STS_EXPECT, STS_VALID, WAIT_NS);
}

static bool receive(uint32_t locality, uint8_t *answer, size_t from, size_t to)
{
	while (from < to) {
		uint32_t left = burst(locality);

		if (left == 0 || (status(locality) & STS_DATA) == 0) {
			return false;
		}
		for (; left != 0 && from < to; left--) {
			answer[from++] = (uint8_t)read8(locality, REG_FIFO);
		}
	}
	return true;
}

enum tis_error tis_command(uint32_t locality, const uint8_t *command, size_t n, uint8_t *answer,
			   size_t *got)
{
	size_t size = 0;

	*got = 0;
	arch_mmio_write(at(locality, REG_STS), 4, STS_READY);
	if (!wait_status(locality, STS_READY, STS_READY, WAIT_NS) || !send(locality, command, n)) {
		return TIS_TIMEOUT;
	}
	arch_mmio_write(at(locality, REG_STS), 4, STS_GO);
	if (!wait_status(locality, STS_VALID | STS_DATA, STS_VALID | STS_DATA, COMMAND_NS)) {
		return TIS_TIMEOUT;
	}
	if (receive(locality, answer, 0, TPM2_HEADER)) {
		size = tpm2_answer_size(answer);
	}
	if (size == 0 || !receive(locality, answer, TPM2_HEADER, size) ||
	    !wait_status(locality, STS_VALID | STS_DATA, STS_VALID, WAIT_NS)) {
		arch_mmio_write(at(locality, REG_STS), 4, STS_READY);
		return TIS_BROKEN;
	}
	arch_mmio_write(at(locality, REG_STS), 4, STS_READY);
	*got = size;
	return TIS_OK;
}
