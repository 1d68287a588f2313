// SPDX-License-Identifier: MIT
#include "tests/unit/core/core_test.h"

#define RIP 0x300000ull

static uint64_t rip_before;

int boot_machine(void **state)
{
	(void)state;
	fake_boot(&(struct fake_config){ .cpus = 4 });
	return 0;
}

struct vp *root_vp(uint32_t i)
{
	return partition_root->vp[i];
}

static enum fake_end exit_with(struct vp *vp, const struct exit_info *e)
{
	enum fake_end end;

	vp->rip = RIP;
	rip_before = vp->rip;
	end = fake_exit(vp, e);
	return end;
}

enum fake_end exit_msr(struct vp *vp, bool write, uint32_t msr, uint64_t value)
{
	struct exit_info e = { .kind = write ? EXIT_MSR_WRITE : EXIT_MSR_READ, .length = 2 };

	vp->regs[REG_RCX] = msr;
	if (write) {
		vp->regs[REG_RAX] = 0xdead000000000000ull |
				    (uint32_t)value; /* bits 63:32 do not count */
		vp->regs[REG_RDX] = 0xbeef000000000000ull | value >> 32;
	}
	return exit_with(vp, &e);
}

enum fake_end exit_port(struct vp *vp, bool in, uint16_t port, unsigned size, uint32_t value)
{
	struct exit_info e = { .kind = EXIT_PORT, .length = 1 };

	e.port.port = port;
	e.port.size = (uint8_t)size;
	e.port.in = in;
	vp->regs[REG_RAX] = 0x1122334400000000ull | value;
	return exit_with(vp, &e);
}

enum fake_end exit_memory(struct vp *vp, uint64_t at, bool write)
{
	struct exit_info e = { .kind = EXIT_MEMORY };

	e.memory.gpa = gpa(at);
	e.memory.write = write;
	rip_before = vp->rip;
	return fake_exit(vp, &e);
}

enum fake_end exit_simple(struct vp *vp, enum exit_kind kind, uint8_t length)
{
	struct exit_info e = { .kind = kind, .length = length };

	return exit_with(vp, &e);
}

uint64_t msr_result(const struct vp *vp)
{
	return vp->regs[REG_RDX] << 32 | vp->regs[REG_RAX];
}

void assert_injected(struct vp *vp, int vector)
{
	if (vector < 0) {
		assert_int_equal(vp->arch->pending.kind, FAKE_NONE);
		assert_true(vp->rip > rip_before && vp->rip <= rip_before + 15);
		return;
	}
	assert_int_equal(vp->arch->pending.kind, FAKE_EXCEPTION);
	assert_int_equal(vp->arch->pending.vector, vector);
	assert_int_equal(vp->arch->pending.has_error, vector == VECTOR_GP);
	assert_int_equal(vp->arch->pending.error, 0);
	assert_true(vp->rip == rip_before);
}

bool msr_read(struct vp *vp, uint32_t msr, uint64_t *value)
{
	assert_int_equal(exit_msr(vp, false, msr, 0), FAKE_RETURNED);
	*value = msr_result(vp);
	assert_injected(vp, vp->arch->pending.kind == FAKE_NONE ? -1 : VECTOR_GP);
	return vp->arch->pending.kind == FAKE_NONE;
}

bool msr_write(struct vp *vp, uint32_t msr, uint64_t value)
{
	assert_int_equal(exit_msr(vp, true, msr, value), FAKE_RETURNED);
	assert_injected(vp, vp->arch->pending.kind == FAKE_NONE ? -1 : VECTOR_GP);
	return vp->arch->pending.kind == FAKE_NONE;
}

void put_code(struct vp *vp, uint64_t at, const void *code, size_t n)
{
	memcpy(fake_ram(at), code, n);
	vp->rip = at;
	rip_before = at;
}
