// SPDX-License-Identifier: MIT
/*
 * redoubt.ko in user space: its sources above fuzz/ko/kernel.h, a hypervisor and a pool that are this file. Input: a script of system calls
 * on /dev/redoubt and on what comes of it, with arguments of any kind at addresses of any kind, of what the hypervisor does meanwhile, of
 * allocations, copies, descriptors and hypercalls that fail. Checked: the user's memory is fetched once, and never under a lock; locks and
 * references; hypercalls name what is there; no unit of memory has two owners; after all is closed nothing is left.
 */
#include "fuzz/ko/ko.h"
#include "fuzz/oracle.h"
#include "hv/root/pool.h"
#include "hv/root/redoubt.h"
#include "hv/root/synic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARTITIONS 6u
#define PORTS 1024u
#define UNITS 64u
#define TIME_OUT 120u        /* TLFS: HV_STATUS_TIMEOUT, call again */
#define FIRST_UNIT 0x100000u /* page number of unit 0 */

static struct {
	bool used, finalized;
	uint8_t vps;
	uint32_t connections;
	struct hv_posted *posted;
	struct hv_message *intercept[HV_VP_MAX];
} hv[PARTITIONS];
static bool hv_port[PORTS];
static uint32_t fail_call; /* countdown to a hypercall that fails */
static uint16_t fail_status;
static uint32_t stall;   /* so many calls make no progress */
static unsigned how;     /* the machine that the module is loaded in, see load() */
static unsigned how_not; /* which word of the signature is another's; 4: there is no hypervisor */

#define REP_MAX 0xfffu /* elements of a rep call: TLFS 3.7 */
/* Statuses that the hypervisor does not have: it counts wrongly, it makes no progress. */
#define STATUS_MISCOUNTS 0x100u
#define STATUS_STALLS 0xffu
static bool others_come; /* where the module waits, everything is notified */
#define LOAD 0xfeu       /* an action: the module is loaded anew, as its second byte says */
#define NAMED 64u        /* descriptors that a script can name */
static uint64_t flags[HV_EVENT_FLAGS / 64];
static bool unit_used[UNITS];
static struct page unit_page[UNITS * RD_UNIT_PAGES];
static struct page *busy; /* of it one more has hold, until somebody waits for that */

/* ---- the pool ---- */

void rd_pool_init(const struct rd_info *info)
{
	(void)info;
}

void rd_pool_exit(void)
{
}

bool rd_pool_holds(u64 count)
{
	return count <= UNITS;
}

int rd_pool_take(u64 count, u64 *unit)
{
	u64 taken = 0;

	for (uint32_t i = 0; i < UNITS && taken < count; i++) {
		if (!unit_used[i]) {
			unit[taken++] = FIRST_UNIT + i * RD_UNIT_PAGES;
		}
	}
	if (taken < count) {
		return -ENOMEM;
	}
	for (u64 i = 0; i < count; i++) {
		unit_used[(unit[i] - FIRST_UNIT) / RD_UNIT_PAGES] = true;
	}
	return 0;
}

void rd_pool_give(u64 count, const u64 *unit)
{
	for (u64 i = 0; i < count; i++) {
		u64 n = (unit[i] - FIRST_UNIT) / RD_UNIT_PAGES;

		ORACLE(n < UNITS && unit_used[n], "memory is given back twice");
		unit_used[n] = false;
	}
}

struct page *pfn_to_page(u64 pfn)
{
	struct page *p = &unit_page[pfn - FIRST_UNIT];

	ORACLE(pfn - FIRST_UNIT < UNITS * RD_UNIT_PAGES, "a page that is not the pool's");
	p->count = p->count != 0 ? p->count : 1;
	return p;
}

/* Input and output to the guest's memory comes to an end; the hypervisor notifies. */
void ko_others(void)
{
	for (uint32_t i = 0; i < UNITS; i++) {
		unit_page[i * RD_UNIT_PAGES].count = 1;
	}
	busy = NULL;
	if (others_come) {
		others_come = false;
		memset(flags, 0xff, sizeof(flags));
		rd_notify_scan(flags);
	}
}

int vm_insert_page(struct vm_area_struct *v, unsigned long at, struct page *p)
{
	ORACLE(at == v->vm_start && p != NULL, "another page is mapped");
	return 0;
}

int rd_synic_init(u32 sint)
{
	(void)sint;
	return how == 3 ? -ENODEV : 0;
}

void rd_synic_exit(void)
{
}

void cpuid(u32 leaf, u32 *a, u32 *b, u32 *c, u32 *d)
{
	*a = leaf - (how == 1 && how_not == 1);
	*b = how == 1 && how_not == 0 ? 0 : RD_CPUID_EBX;
	*c = how == 1 && how_not == 2 ? 0 : RD_CPUID_ECX;
	*d = how == 1 && how_not == 3 ? 0 : RD_CPUID_EDX;
}

/* ---- the hypervisor ---- */

static uint64_t partition_of(uint64_t id)
{
	ORACLE(id != 0 && id - 1 < PARTITIONS && hv[id - 1].used,
	       "a hypercall for a partition that is not there");
	return id - 1;
}

static void create_port(const struct hv_create_port *in)
{
	(void)partition_of(in->connection_partition);
	ORACLE(in->port_partition == HV_SELF && in->port != 0 && in->port < PORTS &&
		       !hv_port[in->port],
	       "a port that is there, or not ours");
	ORACLE(in->base_flag != 0 && in->base_flag < HV_EVENT_FLAGS, "a flag that is none");
	hv_port[in->port] = true;
}

static void delete_port(const struct hv_delete_port *in)
{
	ORACLE(in->port < PORTS && hv_port[in->port], "a port that is not there");
	hv_port[in->port] = false;
}

static void map_page(const struct hv_map_state_page *in)
{
	uint64_t p = partition_of(in->partition);

	ORACLE(in->vp < HV_VP_MAX && (hv[p].vps >> in->vp & 1) != 0,
	       "a page for a VP that is not there");
	ORACLE(in->notify_flag != 0 && in->notify_flag < HV_EVENT_FLAGS, "a flag that is none");
	hv[p].intercept[in->vp] = (struct hv_message *)(uintptr_t)(in->pfn << 12);
}

static void map_memory(const struct hv_map_gpa_pages *in, uint32_t count)
{
	const u64 *unit = (const u64 *)(in + 1);

	(void)partition_of(in->partition);
	for (uint32_t i = 0; i < count; i++) {
		u64 n = (unit[i] - FIRST_UNIT) / RD_UNIT_PAGES;

		ORACLE(n < UNITS && unit_used[n], "memory that is not the partition's");
	}
}

/* false: there is no such partition left to make. */
static bool simple(u16 code, const void *in, void *out)
{
	const uint64_t *id = in;
	uint64_t p;

	switch (code) {
	case RD_HVCALL_GET_INFO:
		((struct rd_info *)out)->abi_version = RD_ABI_VERSION + (how == 2);
		return true;
	case HVCALL_CREATE_PARTITION:
		for (p = 0; p < PARTITIONS && hv[p].used; p++) {
		}
		if (p == PARTITIONS) {
			return false;
		}
		memset(&hv[p], 0, sizeof(hv[p]));
		hv[p].used = true;
		*(uint64_t *)out = p + 1;
		return true;
	case HVCALL_FINALIZE_PARTITION:
		hv[partition_of(*id)].finalized = true;
		return true;
	case HVCALL_DELETE_PARTITION:
		p = partition_of(*id);
		ORACLE(hv[p].finalized, "a partition is deleted that may run");
		hv[p].used = false;
		return true;
	case HVCALL_CREATE_VP: {
		const struct hv_create_vp *v = in;

		p = partition_of(v->partition);
		ORACLE(v->vp < HV_VP_MAX && (hv[p].vps >> v->vp & 1) == 0, "a VP that is there");
		hv[p].vps |= (uint8_t)(1u << v->vp);
		return true;
	}
	case HVCALL_MAP_VP_STATE_PAGE:
		map_page(in);
		return true;
	case HVCALL_CREATE_PORT:
		create_port(in);
		return true;
	case HVCALL_DELETE_PORT:
		delete_port(in);
		return true;
	case HVCALL_CONNECT_PORT: {
		const struct hv_connect_port *c = in;

		ORACLE(c->port < PORTS && hv_port[c->port] && c->connection <= 0xffffff,
		       "a connection of what is not there");
		hv[partition_of(c->connection_partition)].connections++;
		return true;
	}
	case HVCALL_DISCONNECT_PORT:
		p = partition_of(*id);
		ORACLE(hv[p].connections-- != 0, "a connection that is not there");
		return true;
	case HVCALL_POST_MESSAGE_DIRECT: {
		const struct hv_post_message_direct *m = in;

		(void)partition_of(m->partition);
		ORACLE(m->vp < HV_VP_MAX && m->sint < HV_SINT_COUNT, "a message to nobody");
		return true;
	}
	case HVCALL_SIGNAL_EVENT_DIRECT: {
		const struct hv_signal_event_direct *e = in;

		(void)partition_of(e->partition);
		ORACLE(e->vp < HV_VP_MAX && e->sint < HV_SINT_COUNT && e->flag < HV_EVENT_FLAGS,
		       "a signal to nobody");
		return true;
	}
	case RD_HVCALL_RECEIVE_MESSAGE:
		ORACLE(*(const u32 *)in < PORTS && hv_port[*(const u32 *)in],
		       "messages of a port that is not there");
		memset(out, 7, sizeof(struct hv_message));
		return true;
	case RD_HVCALL_SEAL_LAUNCH:
	case HVCALL_INITIALIZE_PARTITION:
	case HVCALL_SET_PARTITION_PROPERTY:
	case HVCALL_INSTALL_INTERCEPT:
		(void)partition_of(*id);
		return true;
	default:
		ORACLE(code == RD_HVCALL_READ_LOG || code == RD_HVCALL_PARTITION_INFO ||
			       (code >= RD_HVCALL_GET_MEASUREMENT &&
				code <= RD_HVCALL_GET_REPORT_KEY),
		       "another hypercall");
		return true;
	}
}

static unsigned int command_now; /* of the user */

/* A VP goes on by RUN alone. */
static void check_suspend(const struct hv_register_assoc *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		ORACLE(command_now == RD_IOCTL_RUN || (list[i].name != HV_REG_EXPLICIT_SUSPEND &&
						       list[i].name != HV_REG_INTERCEPT_SUSPEND),
		       "a VP goes on without RUN");
	}
}

static void rep(u16 code, const void *in, void *out, uint32_t count)
{
	if (code == HVCALL_SET_VP_REGISTERS) {
		check_suspend((const void *)((const struct hv_vp_registers *)in + 1), count);
	}
	(void)partition_of(*(const uint64_t *)in);
	if (code == HVCALL_MAP_GPA_PAGES) {
		map_memory(in, count);
	} else if (code == HVCALL_GET_VP_REGISTERS) {
		memset(out, 1, count * sizeof(struct hv_register_value));
	} else {
		ORACLE(code == HVCALL_SET_VP_REGISTERS || code == RD_HVCALL_MEASURE_PAGES,
		       "another hypercall");
	}
}

/* What a request asks for in the name of a partition comes before its end. */
static void check_alive(u16 code, uint64_t id)
{
	if (code == HVCALL_CREATE_VP || code == HVCALL_POST_MESSAGE_DIRECT ||
	    code == HVCALL_INSTALL_INTERCEPT || code == HVCALL_SET_VP_REGISTERS ||
	    code == HVCALL_GET_VP_REGISTERS || code == RD_HVCALL_SEAL_LAUNCH) {
		ORACLE(!hv[partition_of(id)].finalized, "a call for a partition that has ended");
	}
}

/* What the hypervisor is told; of other calls their partition alone, as more may be an address. */
static void told(u16 code, const void *in, uint32_t count)
{
	size_t n = sizeof(uint64_t);

	switch (code) {
	case HVCALL_POST_MESSAGE_DIRECT:
		n = sizeof(struct hv_post_message_direct);
		break;
	case HVCALL_SIGNAL_EVENT_DIRECT:
		n = sizeof(struct hv_signal_event_direct);
		break;
	case HVCALL_INSTALL_INTERCEPT:
		n = sizeof(struct hv_install_intercept);
		break;
	case HVCALL_CONNECT_PORT:
		n = sizeof(struct hv_connect_port);
		break;
	case HVCALL_SET_VP_REGISTERS:
		n = sizeof(struct hv_vp_registers) + count * sizeof(struct hv_register_assoc);
		break;
	default:
		break;
	}
	oracle_said_number(code);
	oracle_said(in, n);
}

/* The rest of a rep call is done in up to three pieces. */
u64 rd_vmmcall(u64 control, phys_addr_t in, phys_addr_t out)
{
	static const uint8_t zero[PAGE_SIZE];
	u16 code = (u16)control;
	uint32_t count = control >> 32 & 0xfff, start = control >> 48 & 0xfff, now = count;

	told(code, (const void *)(uintptr_t)in, count);
	/* What the hypervisor does not let go is lost for good, for the next input, too: partitions go slowly, ports always. */
	if (fail_call != 0 && code != HVCALL_DELETE_PORT && --fail_call == 0) {
		bool end = code == HVCALL_DELETE_PARTITION || code == HVCALL_FINALIZE_PARTITION;

		if (count != 0 && fail_status == STATUS_MISCOUNTS) {
			return (u64)(start != 0 ? start - 1 : count + 1) << 32;
		}
		stall = fail_status == STATUS_STALLS ? 1100 : 0;
		return (end || stall != 0 ? TIME_OUT : fail_status) | (u64)start << 32;
	}
	if (stall != 0 && code != HVCALL_DELETE_PORT) {
		stall--;
		return TIME_OUT | (u64)start << 32;
	}
	check_alive(code, *(const uint64_t *)(uintptr_t)in);
	if (count == 0) {
		/* A page of its own for the answer: what the hypervisor leaves as it is goes to the user, too. */
		ORACLE(out == 0 || code == HVCALL_SIGNAL_EVENT_DIRECT ||
			       code == RD_HVCALL_RECEIVE_MESSAGE ||
			       memcmp((const void *)(uintptr_t)out, zero, PAGE_SIZE) == 0,
		       "an earlier answer");
		return simple(code, (const void *)(uintptr_t)in, (void *)(uintptr_t)out)
			       ? 0
			       : HV_STATUS_INSUFFICIENT_MEMORY;
	}
	ORACLE(start < count, "a rep call behind its end");
	rep(code, (const void *)(uintptr_t)in, (void *)(uintptr_t)out, count);
	if (count - start > 3) {
		now = start + (count - start) / 2;
		return TIME_OUT | (u64)now << 32;
	}
	return (u64)now << 32;
}

/* ---- processes ---- */

static struct ko_file *file_at(uint32_t i)
{
	return ko.file[i % NAMED].used ? &ko.file[i % NAMED] : NULL;
}

/* One more channel after the other, until there are no descriptors any more, or no numbers. */
static void many_channels(unsigned index)
{
	struct ko_file *f = file_at(index);
	struct rd_create_channel c = { .connection = 1 };

	for (unsigned i = 0; i < KO_FILES && f != NULL && f->fops->unlocked_ioctl != NULL; i++) {
		memcpy(ko_user, &c, sizeof(c));
		ko_call();
		if (f->fops->unlocked_ioctl(&f->file, RD_IOCTL_CREATE_CHANNEL, (uintptr_t)ko_user) <
		    0) {
			break;
		}
	}
	ko_call();
}

/* What the script does not name otherwise. */
static void other(unsigned arg)
{
	switch (arg & 3) {
	case 0:
		many_channels(arg >> 2);
		break;
	case 1:
		ko.fail_signal = 1 + (arg >> 2) % 16;
		break;
	case 2:
		others_come = true;
		break;
	default: /* input or output to a unit is under way */
		if (busy != NULL) {
			busy->count = 1; /* it is no longer */
		}
		busy = unit_used[arg >> 2] ? &unit_page[(arg >> 2) * RD_UNIT_PAGES] : NULL;
		if (busy != NULL) {
			busy->count = 2;
		}
		break;
	}
}

/* Arguments lie anywhere, mostly where they should. */
static uint32_t place(struct script *s)
{
	uint32_t at = (uint32_t)script_take(s, 1);

	return at < 0xe0 ? at * 16 : KO_USER - (at & 31) * 8;
}

static void fill(struct script *s, uint32_t at)
{
	while (script_more(s) && at < KO_USER) {
		ko_user[at++] = oracle_tame((uint8_t)script_take(s, 1));
	}
}

static void open_device(void)
{
	for (uint32_t i = 0; i < KO_FILES; i++) {
		struct ko_file *f = &ko.file[i];

		if (!f->used) {
			f->fops = ko.device->fops;
			f->file = (struct file){ NULL, O_NONBLOCK };
			ko_call();
			f->used = f->fops->open(NULL, &f->file) == 0;
			ORACLE(!f->used || !ko.unable, "opened without the right to");
			return;
		}
	}
}

static uint32_t files(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < KO_FILES; i++) {
		n += ko.file[i].used;
	}
	return n;
}

static void call_ioctl(struct ko_file *f, unsigned int command, uint32_t at)
{
	uint32_t before = files();
	long r;

	if (f == NULL || f->fops->unlocked_ioctl == NULL) {
		return;
	}
	/* The pages of an open of /dev/redoubt are that open's own: only its own calls wait. */
	ko.may_lock = f->fops == ko.device->fops;
	ko_call();
	command_now = command;
	r = f->fops->unlocked_ioctl(&f->file, command, (uintptr_t)ko_user + at);
	command_now = 0;
	oracle_said_number((uint64_t)r);
	ko_call();
	ko.may_lock = false;
	ORACLE(r >= -ERESTARTSYS && r < (long)KO_FILES, "no error number");
	ORACLE(files() == before + (r > 0 || (r == 0 && files() != before)),
	       "a descriptor more or less");
	ORACLE(r >= 0 || files() == before, "a descriptor of a refused request");
}

/* GET_REGS or SET_REGS of registers that have names (TLFS: ten groups of a few). */
static void ioctl_registers(struct script *s, struct ko_file *f)
{
	bool set = script_take(s, 1) % 2 != 0;
	struct rd_regs regs = { .count = (uint32_t)script_take(s, 1) };
	struct hv_register_assoc *list = (void *)(ko_user + sizeof(regs));

	regs.assoc = (uintptr_t)list;
	memcpy(ko_user, &regs, sizeof(regs));
	memset(list, 0, KO_USER - sizeof(regs));
	for (uint32_t i = 0; script_more(s) && i < regs.count; i++) {
		uint32_t name = (uint32_t)script_take(s, 1);

		list[i].name = name % 10 << 16 | name / 10;
	}
	call_ioctl(f, set ? RD_IOCTL_SET_REGS : RD_IOCTL_GET_REGS, 0);
}

static void ioctl_file(struct script *s, unsigned index)
{
	static const unsigned int commands[] = { RD_IOCTL_CREATE_PARTITION,
						 RD_IOCTL_GET_INFO,
						 RD_IOCTL_READ_LOG,
						 RD_IOCTL_PARTITION_INFO,
						 RD_IOCTL_MEMORY,
						 RD_IOCTL_CREATE_VP,
						 RD_IOCTL_CREATE_CHANNEL,
						 RD_IOCTL_CREATE_MESSAGE,
						 RD_IOCTL_POST,
						 RD_IOCTL_INTERCEPT_PORTS,
						 RD_IOCTL_STOP,
						 RD_IOCTL_GET_REGS,
						 RD_IOCTL_SET_REGS,
						 RD_IOCTL_RUN,
						 RD_IOCTL_SET_TARGET,
						 RD_IOCTL_MEASURE,
						 RD_IOCTL_SEAL,
						 RD_IOCTL_GET_MEASUREMENT,
						 RD_IOCTL_GET_REPORT,
						 RD_IOCTL_GET_REPORT_KEY };
	struct ko_file *f = file_at(index);
	unsigned which = (unsigned)script_take(s, 1);
	uint32_t at = place(s);
	unsigned int command = which < 0xf0 ? commands[which % ARRAY_SIZE(commands)]
					    : (unsigned int)script_take(s, 4);
	uint64_t address;

	fill(s, at);
	if (command == RD_IOCTL_GET_REGS || command == RD_IOCTL_SET_REGS) {
		address = (uintptr_t)ko_user + at + 16 + (which >> 7) * 8;
		memcpy(ko_user + (at < KO_USER - 16 ? at : 0) + 8, &address, 8);
	}
	call_ioctl(f, command, at);
}

static void read_write(struct script *s, unsigned index, bool out)
{
	struct ko_file *f = file_at(index);
	uint32_t at = place(s), size = (uint32_t)script_take(s, 2) % 2048;
	loff_t offset = 0;
	ssize_t r = 0;

	if (f == NULL) {
		return;
	}
	f->file.f_flags = (index & 0x80) != 0 ? 0 : O_NONBLOCK;
	ko_call();
	if (out && f->fops->write != NULL) {
		r = f->fops->write(&f->file, (const char *)ko_user + at, size, &offset);
	} else if (!out && f->fops->read != NULL) {
		r = f->fops->read(&f->file, (char *)ko_user + at, size, &offset);
	}
	if (f->fops->poll != NULL) {
		oracle_said_number(f->fops->poll(&f->file, NULL));
	}
	oracle_said_number((uint64_t)r);
	ko_call();
	ORACLE(r >= -ERESTARTSYS && r <= (ssize_t)size, "more bytes than were asked for");
}

static void map(struct script *s, unsigned index)
{
	struct ko_file *f = file_at(index);
	struct vm_area_struct v = { .vm_start = 0x10000, .vm_flags = script_take(s, 1) & 7 };
	struct vm_fault fault = { .vma = &v };
	int r;

	v.vm_pgoff = script_take(s, 2) << ((v.vm_flags & 2) != 0 ? 44 : 0);
	v.vm_end = v.vm_start + script_take(s, 2) * PAGE_SIZE;
	if (f == NULL || f->fops->mmap == NULL) {
		return;
	}
	v.vm_file = &f->file;
	ko_call();
	r = f->fops->mmap(&f->file, &v);
	oracle_said_number((uint64_t)r);
	if (r != 0) {
		ko_call();
		return;
	}
	ORACLE((v.vm_flags & (VM_EXEC | VM_MAYEXEC)) == 0 && (v.vm_flags & VM_DONTCOPY) != 0,
	       "a mapping that may be executed or inherited");
	ORACLE(v.vm_ops != NULL || (v.vm_flags & (VM_WRITE | VM_MAYWRITE)) == 0,
	       "a page of the hypervisor that a process may write");
	if (v.vm_ops != NULL) {
		fault.pgoff = v.vm_pgoff + script_take(s, 2) % (vma_pages(&v) + 2);
		r = (int)v.vm_ops->fault(&fault);
		oracle_said_number((uint64_t)r);
		if (r == 0) {
			ORACLE(--fault.page->count == 1 + (fault.page == busy),
			       "a page that others have"); /* and unmapped */
		}
	}
	ko_call();
}

/* What the hypervisor does by itself: intercepts, posted writes, notifications. */
static void happens(struct script *s, unsigned arg)
{
	struct hv_message *m = hv[arg % PARTITIONS].intercept[arg >> 4 & 7];
	uint32_t flag = (uint32_t)script_take(s, 1);

	flags[flag / 64] |= 1ull << (flag % 64);
	if (hv[arg % PARTITIONS].used && m != NULL) {
		struct hv_posted *p = (struct hv_posted *)(void *)((uint8_t *)m + HV_POSTED_OFFSET);

		m->type = (uint32_t)script_take(s, 1) != 0 ? HV_MESSAGE_IO_PORT : HV_MESSAGE_NONE;
		p->producer += (uint32_t)script_take(s, 1);
	}
	rd_notify_scan(flags);
}

static void fail(struct script *s, unsigned arg)
{
	uint32_t n = 1 + (arg >> 2) % 16;

	switch (arg & 3) {
	case 0:
		ko.fail_alloc = n;
		break;
	case 1:
		ko.fail_fd = n;
		break;
	case 2:
		ko.fail_copy = n;
		break;
	default:
		fail_call = n;
		fail_status = (uint16_t)(1 + script_take(s, 1));
		break;
	}
}

static unsigned stopped; /* the descriptor of the partition that is stopped */

/* Another thread stops the partition while this one waits for its lock. */
static void stop_meanwhile(void)
{
	struct ko_file *f = file_at(stopped);

	if (f != NULL && f->fops->unlocked_ioctl != NULL) {
		(void)f->fops->unlocked_ioctl(&f->file, RD_IOCTL_STOP, 0);
	}
}

static void act(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1), arg = (unsigned)script_take(s, 1);

	switch (op % 16) {
	case 0:
		open_device();
		break;
	case 1:
		read_write(s, arg, true);
		break;
	case 2:
	case 3:
		read_write(s, arg, false);
		break;
	case 4:
		map(s, arg);
		break;
	case 5:
	case 6:
		happens(s, arg);
		break;
	case 7:
		fail(s, arg);
		break;
	case 8:
		(void)ko_work();
		break;
	case 9:
		if (file_at(arg) != NULL) {
			ko_call();
			ko_close(arg % NAMED);
			ko_call();
		}
		break;
	default:
		if (op == 0xff) {
			other(arg);
		} else if (op % 16 == 12 && op >= 0x80) {
			ioctl_registers(s, file_at(arg));
		} else if (op % 16 == 13 && op >= 0x80) {
			stopped = arg;
			ko.meanwhile = stop_meanwhile;
		} else {
			ioctl_file(s, arg);
		}
		break;
	}
}

/* What no request leads to: the module's own calls are within these bounds. */
static void check_bounds(void)
{
	static uint8_t page[PAGE_SIZE + 8];
	struct rd_pages pages = { .in = page, .out = page };

	ORACLE(rd_hypercall_rep(HVCALL_SET_VP_REGISTERS, page, NULL, 0) == -EINVAL &&
		       rd_hypercall_rep(HVCALL_SET_VP_REGISTERS, page, NULL, REP_MAX + 1) ==
			       -EINVAL,
	       "a rep call of none, or of too many");
	mutex_lock(&pages.lock);
	ORACLE(rd_hypercall(&pages, RD_HVCALL_READ_LOG, page, sizeof(page)) == -EINVAL,
	       "input that does not fit in a page");
	mutex_unlock(&pages.lock);
}

static void finish(void)
{
	check_bounds();
	stall = fail_call = ko.fail_alloc = ko.fail_fd = ko.fail_copy = ko.fail_signal = 0;
	others_come = false;
	ko.meanwhile = NULL;
	for (uint32_t i = 0; i < KO_FILES; i++) {
		if (ko.file[i].used) {
			ko_close(i);
		}
	}
	ko_exit();
	for (uint32_t i = 0; i < PARTITIONS; i++) {
		ORACLE(!hv[i].used, "a partition is left");
	}
	for (uint32_t i = 0; i < PORTS; i++) {
		ORACLE(!hv_port[i], "a port is left");
	}
	for (uint32_t i = 0; i < UNITS; i++) {
		ORACLE(!unit_used[i], "memory is left");
	}
	ko_reset();
}

/* Loads the module, where something is missing or fails. false: it does not load, and nothing is left of it. */
static bool load(unsigned arg)
{
	how_not = arg >> 3 & 7;
	ko.bare = (arg & 7) == 1 && how_not == 4;
	how = arg &
	      7; /* 1 no Redoubt, 2 another ABI, 3 no interrupts, 4 no name, 5 no queue, 6 not the administrator */
	ko.fail_alloc = (arg & 0x80) != 0 ? 1 + (arg >> 3 & 15) : 0;
	ko.fail_misc = how == 4;
	ko.fail_queue = how == 5;
	ko.unable = how == 6;
	fail_call = how == 7 ? 1 + (arg >> 3 & 3) : 0;
	fail_status = 5;
	if (ko_init() == 0) {
		return true;
	}
	ORACLE(how != 0 || ko.fail_alloc == 0, "the module does not load");
	ko.device = NULL;
	ko_reset();
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, action;

	memset(flags, 0, sizeof(flags));
	fail_call = stall = how = 0;
	others_come = false;
	ko_others();
	CHECK_FUZZ(load(0));
	for (unsigned i = 0; i < 120 && script_action(&s, &action); i++) {
		if (action.size < 2 || action.data[0] != LOAD) {
			act(&action);
			continue;
		}
		finish();
		if (!load(action.data[1])) {
			return 0;
		}
	}
	finish();
	return 0;
}
