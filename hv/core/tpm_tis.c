/* SPDX-License-Identifier: MIT */
#include "hv/core/tpm_tis.h"

#include "hv/core/arch.h"
#include "hv/core/time.h"
#include "hv/wire/tpm2.h"

/* Longer than the profile's own time-outs, which a TPM may exceed at its first command. */
#define WAIT_NS 2000000000ull
#define SOON (time_ns() + WAIT_NS)
#define COMMAND_NS 20000000000ull
#define ANY UINT32_MAX

static hpa_t at(uint32_t locality, uint32_t reg)
{
	return hpa(TIS_BASE + locality * TIS_LOCALITY_BYTES + reg);
}

/* Waits until the masked bits of a register are `want`, or ANY of them is set; not longer than `until`, of time_ns. */
static bool wait(hpa_t reg, unsigned size, uint32_t mask, uint32_t want, uint64_t until)
{
	bool late;

	do {
		uint32_t v = (uint32_t)arch_mmio_read(reg, size) & mask;

		late = time_ns() >= until; /* also where each single answer comes at once */
		if (want == ANY ? v != 0 : v == want) {
			return !late;
		}
		arch_cpu_relax();
	} while (!late);
	return false;
}

static bool wait_status(uint32_t locality, uint32_t mask, uint32_t want, uint64_t until)
{
	return wait(at(locality, TIS_STS), 4, mask, want, until);
}

/* A locality that is not there reads as ones, the reserved bit too. */
static bool wait_active(uint32_t locality)
{
	return wait(at(locality, TIS_ACCESS), 1,
		    TIS_ACCESS_VALID | TIS_ACCESS_RESERVED | TIS_ACCESS_ACTIVE,
		    TIS_ACCESS_VALID | TIS_ACCESS_ACTIVE, SOON);
}

bool tis_open(uint32_t locality)
{
	uint64_t access = arch_mmio_read(at(0, TIS_ACCESS), 1);

	if ((access & (TIS_ACCESS_VALID | TIS_ACCESS_RESERVED)) != TIS_ACCESS_VALID) {
		return false;
	}
	if ((access & TIS_ACCESS_ACTIVE) != 0) {
		arch_mmio_write(at(0, TIS_ACCESS), 1, TIS_ACCESS_ACTIVE);
	}
	arch_mmio_write(at(locality, TIS_ACCESS), 1, TIS_ACCESS_REQUEST);
	if (wait_active(locality)) {
		return true;
	}
	arch_mmio_write(at(locality, TIS_ACCESS), 1, TIS_ACCESS_SEIZE);
	return wait_active(locality);
}

void tis_close(uint32_t locality)
{
	arch_mmio_write(at(locality, TIS_STS), 4, TIS_STS_READY);
	arch_mmio_write(at(locality, TIS_ACCESS), 1, TIS_ACCESS_ACTIVE);
}

/* All of it by then: a TPM that takes its time for each byte would hold up the boot for half an hour. */
static bool send(uint32_t locality, const uint8_t *command, size_t n, uint64_t until)
{
	for (size_t i = 0; i < n; i++) {
		if (!wait_status(locality, TIS_STS_BURST, ANY, until)) {
			return false;
		}
		arch_mmio_write(at(locality, TIS_FIFO), 1, command[i]);
	}
	/* It has all of it: nothing more is expected. */
	return wait_status(locality, TIS_STS_VALID | TIS_STS_EXPECT, TIS_STS_VALID, until);
}

static bool receive(uint32_t locality, uint8_t *answer, size_t from, size_t to, uint64_t until)
{
	for (; from < to; from++) {
		if (!wait_status(locality, TIS_STS_BURST, ANY, until) ||
		    (arch_mmio_read(at(locality, TIS_STS), 4) & TIS_STS_DATA) == 0) {
			return false;
		}
		answer[from] = (uint8_t)arch_mmio_read(at(locality, TIS_FIFO), 1);
	}
	return true;
}

size_t tis_command(uint32_t locality, const uint8_t *command, size_t n, uint8_t *answer)
{
	uint32_t data = TIS_STS_VALID | TIS_STS_DATA;
	uint64_t until;
	size_t size = 0;

	arch_mmio_write(at(locality, TIS_STS), 4, TIS_STS_READY);
	if (!wait_status(locality, TIS_STS_READY, TIS_STS_READY, SOON) ||
	    !send(locality, command, n, SOON)) {
		return 0;
	}
	arch_mmio_write(at(locality, TIS_STS), 4, TIS_STS_GO);
	if (!wait(at(locality, TIS_STS), 4, data, data, time_ns() + COMMAND_NS)) {
		return 0;
	}
	until = SOON;
	if (receive(locality, answer, 0, TPM2_HEADER, until)) {
		size = tpm2_answer_size(answer);
	}
	/* The answer ends where its header says. */
	return size != 0 && receive(locality, answer, TPM2_HEADER, size, until) &&
			       wait_status(locality, data, TIS_STS_VALID, until)
		       ? size
		       : 0;
}
