// SPDX-License-Identifier: MIT
/*
 * Measured boot against a hostile TPM behind TIS registers. Input: records (fuzz/script.h). The first one is the machine: banks of the
 * firmware's log, what was measured, room in the log, who has the TPM. Each further one is what the TPM does with the next command; where
 * there is none it is honest. Whatever it does: the boot goes on within bounded time, every command is whole, nothing but the log's
 * free room and two fields of the TPM2 table is written, and a log that is called complete has exactly the events that the TPM has.
 * Byte 7 of the first record: 1 to 4: bad randomness (enum fake_seed), SIGNERS: two who want signatures, as the rest of the record says.
 * Both take as long as some hundred commands.
 */
#include <string.h>

#include "fuzz/oracle.h"
#include "fuzz/script.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/attest.h"
#include "hv/core/report_key.h"
#include "hv/core/time.h"
#include "hv/core/tpm_tis.h"
#include "hv/wire/tcglog.h"
#include "hv/wire/tpm2.h"
#include "tests/guest/tcg_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

FUZZ_QUIET_BEGIN

#define LOG_AT FAKE_NVS_BASE
#define LOG_ROOM 0x2000u
#define TABLE_AT (FAKE_ACPI_BASE + 0xfd0) /* across a page's end */
#define TABLE_PAGE FAKE_ACPI_BASE
#define GUARD PAGE_SIZE /* behind the log */
#define BANKS 4u
#define EVENTS 12u
#define PATIENCE 3u             /* polls that cost nothing */
#define POLL (FAKE_TSC_HZ / 20) /* a poll for what does not come */
#define SIGNERS 0x53u
#define SIGN_STEPS 16u                     /* hv/core/report_key.h: about eight */
#define COMMAND_MOST (FAKE_TSC_HZ * 27ull) /* hv/core/tpm_tis.h: some 26 seconds */

static const uint16_t algs[BANKS] = { TCG_ALG_SHA1, TCG_ALG_SHA256, TCG_ALG_SHA384,
				      TCG_ALG_SHA512 };

enum grant { GRANTED, SEIZED, NEVER, ABSENT };

static struct {
	unsigned active_banks, empty_banks;
	enum grant grant;
	int active; /* locality; -1 none */
	uint8_t in[TPM2_COMMAND_MAX + 64], out[TPM2_ANSWER_MAX * 2];
	size_t n, out_n, out_at;
	bool done, open;
	uint64_t started; /* TSC at the command's begin */
	unsigned polls;
	bool reset, key;
	uint32_t events;
	struct {
		uint8_t data[TPM2_EVENT_MAX];
		size_t n;
		uint32_t fill;
	} event[EVENTS];
} tpm;

static struct { /* what it does with this command */
	unsigned kind;
	bool never_ready, never_done, expects, left_over;
	unsigned delay; /* polls without a burst before each byte */
	struct script more;
} how;

static struct script script;
static uint64_t mmio; /* writes before */
static unsigned last; /* what comes after the boot */
static struct boot_handoff h;
static uint8_t before[LOG_ROOM + GUARD], table_before[2 * PAGE_SIZE];

static void be(uint64_t v, unsigned bytes)
{
	while (bytes-- != 0) {
		tpm.out[tpm.out_n++] = (uint8_t)(v >> 8 * bytes);
	}
}

static uint32_t in32(size_t at)
{
	return (uint32_t)tpm.in[at] << 24 | (uint32_t)tpm.in[at + 1] << 16 |
	       (uint32_t)tpm.in[at + 2] << 8 | tpm.in[at + 3];
}

static uint32_t in16(size_t at)
{
	return (uint32_t)tpm.in[at] << 8 | tpm.in[at + 1];
}

static void fill(uint16_t alg, uint32_t byte)
{
	for (uint32_t i = 0; i < tcglog_digest_size(alg); i++) {
		be(byte & 0x7f, 1);
	}
}

/* The event is in the TPM from now on, whatever it answers. */
static void take_event(void)
{
	size_t n = in16(27);

	ORACLE(29u + n == tpm.n && n <= TPM2_EVENT_MAX && tpm.events < EVENTS, "an event's size");
	memcpy(tpm.event[tpm.events].data, tpm.in + 29, n);
	tpm.event[tpm.events].n = n;
	tpm.event[tpm.events].fill = 0x30 + tpm.events;
	tpm.events++;
	be(0, 4);
	be((unsigned)__builtin_popcount(tpm.active_banks), 4);
	for (unsigned i = BANKS; i-- > 0;) { /* not in the header's order */
		if ((tpm.active_banks >> i & 1) != 0) {
			be(algs[i], 2);
			fill(algs[i], tpm.event[tpm.events - 1].fill);
		}
	}
	tpm.out[12] = (uint8_t)((tpm.out_n - 14) >> 8);
	tpm.out[13] = (uint8_t)(tpm.out_n - 14);
}

static void honest(void)
{
	uint16_t alg;
	unsigned bank = 0;

	switch (in32(6)) {
	case 0x17a: /* GetCapability */
		be(0, 1);
		be(5, 4);
		be(BANKS, 4);
		for (unsigned i = 0; i < BANKS; i++) {
			be(algs[i], 2);
			be(3, 1);
			be((tpm.active_banks >> i & 1) != 0 ? 0xffffff : 0, 3);
		}
		break;
	case 0x17e: /* PCR_Read */
		alg = (uint16_t)in16(14);
		while (bank < BANKS && algs[bank] != alg) {
			bank++;
		}
		be(7, 4);
		be(1, 4);
		be(alg, 2);
		be(0x03010000, 4);
		be(1, 4);
		be(tcglog_digest_size(alg), 2);
		fill(alg, (tpm.empty_banks >> bank & 1) != 0 ? 0 : 0x21);
		break;
	case 0x13d: /* PCR_Reset */
		ORACLE(in32(10) == ATTEST_PCR && tpm.events == 0, "another PCR, or too late");
		tpm.reset = true;
		be(0, 4);
		be(0x0000010000, 5);
		break;
	case 0x13c: /* PCR_Event */
		ORACLE(in32(10) == ATTEST_PCR && tpm.reset, "another PCR, or no reset before");
		take_event();
		be(0x0000010000, 5);
		break;
	case 0x17b: /* GetRandom */
		/* A key takes as long as a hundred commands: made where the input says so. */
		be(tpm.key ? in16(10) : 1, 2);
		for (uint32_t i = 0; i < (tpm.key ? in16(10) : 1); i++) {
			be(i * 37 + 5, 1);
		}
		break;
	default:
		ORACLE(false, "an unknown command");
	}
}

/* The TPM's own idea of its answer. */
static void spoil(void)
{
	struct script *s = &how.more;
	uint32_t v;
	bool told;

	switch (how.kind) {
	case 1: /* bytes changed */
		while (script_more(s)) {
			v = (uint32_t)script_take(s, 2);
			tpm.out[v % (tpm.out_n + 4)] ^= (uint8_t)script_take(s, 1);
		}
		break;
	case 2: /* anything, with a header that fits */
	case 3: /* anything */
		tpm.out_n = how.kind == 2 ? TPM2_HEADER : 0;
		while (script_more(s)) {
			be(script_take(s, 1), 1);
		}
		tpm.out[5] = how.kind == 2 ? (uint8_t)tpm.out_n : tpm.out[5];
		break;
	case 4: /* a refusal */
		tpm.out_n = TPM2_HEADER;
		tpm.out[1] = 1;
		tpm.out[4] = 0;
		tpm.out[5] = TPM2_HEADER;
		v = (uint32_t)script_take(s, 2);
		tpm.out[8] = (uint8_t)(v >> 8);
		tpm.out[9] = (uint8_t)v;
		break;
	case 5: /* another size than it has */
		v = (uint32_t)script_take(s, 4);
		for (unsigned i = 0; i < 4; i++) {
			tpm.out[2 + i] = (uint8_t)(v >> (24 - 8 * i));
		}
		break;
	case 6: /* fewer bytes, or more, and the header may say so */
		v = (uint32_t)script_take(s, 2);
		told = v >> 15 != 0;
		v %= sizeof(tpm.out);
		while (tpm.out_n < v) {
			be(0x55, 1);
		}
		tpm.out_n = v;
		tpm.out[4] = told ? (uint8_t)(v >> 8) : tpm.out[4];
		tpm.out[5] = told ? (uint8_t)v : tpm.out[5];
		break;
	default:
		break;
	}
}

static void execute(void)
{
	ORACLE(tpm.n >= TPM2_HEADER && in32(2) == tpm.n, "a command that is not whole");
	if (in32(6) != 0x13c) { /* the key's event has random bytes */
		oracle_clean(tpm.in, tpm.n);
	}
	memset(tpm.out, 0, TPM2_HEADER);
	tpm.out_n = TPM2_HEADER;
	honest();
	tpm.out[0] = 0x80;
	tpm.out[1] = tpm.in[1];
	tpm.out[4] = (uint8_t)(tpm.out_n >> 8);
	tpm.out[5] = (uint8_t)tpm.out_n;
	spoil();
	if (how.left_over && tpm.out_n < sizeof(tpm.out)) {
		be(0, 1);
	}
	tpm.out_at = 0;
	tpm.done = true;
}

static void begin(void)
{
	struct script record = { NULL, 0, 0 };
	unsigned flags;

	ORACLE(!tpm.open || fake.tsc - tpm.started <= COMMAND_MOST, "a command takes too long");
	tpm.open = true;
	tpm.started = fake.tsc;
	tpm.n = tpm.out_n = tpm.out_at = 0;
	tpm.done = false;
	tpm.polls = 0;
	memset(&how, 0, sizeof(how));
	if (!script_action(&script, &record)) {
		return;
	}
	flags = (unsigned)script_take(&record, 1);
	how.kind = flags & 7;
	how.never_ready = (flags & 0xf8) == 0x08;
	how.never_done = (flags & 0xf8) == 0x10;
	how.expects = (flags & 0xf8) == 0x18;
	how.left_over = (flags & 0xf8) == 0x20;
	how.delay = how.kind == 7 ? (unsigned)script_take(&record, 1) : 0;
	how.more = record;
}

/* Who asks again and again waits. */
static void poll(void)
{
	fake.tsc += ++tpm.polls > PATIENCE ? POLL : 100;
}

static uint32_t status(void)
{
	uint32_t v = TIS_STS_VALID | (tpm.polls > how.delay ? 3u << 8 : 0);

	if (tpm.done) {
		return v | (tpm.out_at < tpm.out_n ? TIS_STS_DATA : 0);
	}
	if (tpm.n == 0) {
		return v | (how.never_ready ? 0 : TIS_STS_READY);
	}
	return v | (how.expects || tpm.n < 6 || tpm.n < in32(2) ? TIS_STS_EXPECT : 0);
}

static uint64_t tis_read(uint64_t offset, unsigned size)
{
	int locality = (int)(offset / TIS_LOCALITY_BYTES);
	uint64_t reg = offset % TIS_LOCALITY_BYTES;

	ORACLE(locality == 0 || locality == 2, "another locality");
	poll();
	if (tpm.grant == ABSENT) {
		return UINT64_MAX;
	}
	ORACLE(size == (reg == TIS_STS ? 4 : 1), "an access of another size");
	switch (reg) {
	case TIS_ACCESS:
		return TIS_ACCESS_VALID | (tpm.active == locality ? TIS_ACCESS_ACTIVE : 0);
	case TIS_STS:
		return tpm.active == locality ? status() : UINT32_MAX;
	case TIS_FIFO:
		ORACLE(tpm.active == locality && tpm.done && tpm.out_at < tpm.out_n,
		       "a byte that is not there");
		tpm.polls = 0;
		return tpm.out[tpm.out_at++];
	default:
		ORACLE(false, "an unknown register");
		return 0;
	}
}

static void tis_write(uint64_t offset, unsigned size, uint64_t v)
{
	int locality = (int)(offset / TIS_LOCALITY_BYTES);

	ORACLE(locality == 0 || locality == 2, "another locality");
	ORACLE(size == (offset % TIS_LOCALITY_BYTES == TIS_STS ? 4 : 1),
	       "an access of another size");
	switch (offset % TIS_LOCALITY_BYTES) {
	case TIS_ACCESS:
		tpm.polls = 0;
		if (v == TIS_ACCESS_ACTIVE && tpm.active == locality) {
			tpm.active = -1;
		} else if (tpm.grant == GRANTED ? v == TIS_ACCESS_REQUEST && tpm.active < 0
						: tpm.grant == SEIZED && v == TIS_ACCESS_SEIZE) {
			tpm.active = locality;
		}
		break;
	case TIS_STS:
		ORACLE(tpm.active == locality, "a command without the locality");
		if (v == TIS_STS_READY) {
			begin();
		} else {
			ORACLE(v == TIS_STS_GO && !tpm.done && !how.never_ready, "an early start");
			tpm.polls = 0;
			if (!how.never_done) {
				execute();
			}
		}
		break;
	case TIS_FIFO:
		ORACLE(tpm.active == locality && !tpm.done && tpm.n < sizeof(tpm.in),
		       "a byte that nobody expects");
		ORACLE(tpm.polls > how.delay, "a byte without a burst");
		tpm.in[tpm.n++] = (uint8_t)v;
		tpm.polls = 0;
		break;
	default:
		ORACLE(false, "an unknown register");
	}
}

/* --- the machine --- */

static void make_log(unsigned banks, uint32_t room)
{
	struct tpm_digest d[BANKS] = { { 0 } };
	uint32_t n = 0;
	uint8_t *p = fake_ram(LOG_AT);

	memset(p, 0x3c, LOG_ROOM + GUARD);
	for (unsigned i = 0; i < BANKS; i++) {
		if ((banks >> i & 1) != 0) {
			d[n].alg = algs[i];
			d[n++].n = (uint16_t)tcglog_digest_size(algs[i]);
		}
	}
	h.tcg.base = LOG_AT;
	h.tcg.size = (uint32_t)tcg_log_header(d, n, p, LOG_ROOM);
	ORACLE(tcglog_open(p, h.tcg.size, &h.tcg.log), "the harness's log");
	h.tcg.room = h.tcg.size + room < LOG_ROOM ? h.tcg.size + room : LOG_ROOM;
	memcpy(before, p, sizeof(before));
}

static void make_table(void)
{
	uint8_t *t = fake_ram(TABLE_AT);
	uint8_t sum = 0;

	memset(fake_ram(TABLE_PAGE), 0x5a, 2 * PAGE_SIZE);
	memcpy(t, "TPM2", 4);
	t[4] = ACPI_TPM2_END;
	t[9] = 0;
	for (uint32_t i = 0; i < ACPI_TPM2_END; i++) {
		sum = (uint8_t)(sum + t[i]);
	}
	t[9] = (uint8_t)-sum;
	memcpy(table_before, fake_ram(TABLE_PAGE), sizeof(table_before));
}

static void machine(struct script *s)
{
	unsigned banks = (unsigned)script_take(s, 1), flags = (unsigned)script_take(s, 1);
	uint32_t room = LOG_ROOM - 32 * (uint32_t)script_take(s, 1);
	unsigned present = ~(unsigned)script_take(s, 1), text = (unsigned)script_take(s, 2);
	unsigned other = (unsigned)script_take(s, 1);
	struct bootinfo_module *k;

	memset(&h, 0, sizeof(h));
	memset(&tpm, 0, sizeof(tpm));
	tpm.active_banks = (banks & 15) == 0 ? 2 : banks & 15;
	tpm.grant = (enum grant)(flags & 3);
	tpm.key = text >> 15 != 0;
	text &= 0x7fff;
	tpm.active = (flags & 4) != 0 ? 3 : 0;
	make_log(tpm.active_banks, room);
	tpm.active_banks ^= banks >> 4;
	tpm.empty_banks = flags >> 4;
	make_table();
	h.tcg.why = (enum handoff_tcg_why)((other + HANDOFF_TCG_OK) % 4);
	h.acpi.tpm2_method = (other & 4) != 0 ? ACPI_TPM2_CRB : ACPI_TPM2_TIS;
	h.acpi.tpm2_addr = (other & 8) != 0 ? 0 : TABLE_AT;
	h.acpi.tpm12 = (other & 16) != 0;
	fake.no_random = (other & 32) != 0;
	last = (unsigned)script_take(s, 1);
	fake.seed = last >= FAKE_SEED_STUCK && last <= FAKE_SEED_MANY ? last : FAKE_SEED_GOOD;
	h.acpi.tpm2_log = (flags & 8) == 0;
	h.info.module_count = 1;
	k = &h.info.module[0];
	k->role = BOOTINFO_ROLE_KERNEL;
	memset(k->args, 'c', text % (sizeof(k->args) - 1));
	memset(h.options_text, 'o', text % sizeof(h.options_text));
	for (uint32_t what = ATTEST_HYPERVISOR; what <= ATTEST_VTL1; what++) {
		h.measured[what].present = (present >> what & 1) != 0;
		h.measured[what].bytes = 1000000 + what;
		memset(h.measured[what].digest, (int)what, ATTEST_DIGEST);
	}
	h.measured[ATTEST_OPTIONS].bytes = text % sizeof(h.options_text);
	h.measured[ATTEST_CMDLINE].bytes = text % (sizeof(k->args) - 1);
	fake.device_base = TIS_BASE;
	fake.device_size = TIS_LOCALITIES * TIS_LOCALITY_BYTES;
	fake.device_read = tis_read;
	fake.device_write = tis_write;
	fake.tsc &= (1ull << 60) - 1;
}

/* --- what must hold afterwards --- */

static uint32_t check_table(void)
{
	const uint8_t *t = fake_ram(TABLE_PAGE), *table = fake_ram(TABLE_AT);
	uint32_t size = le32(table + ACPI_TPM2_LENGTH);
	uint8_t sum = 0;

	for (uint32_t i = 0; i < 2 * PAGE_SIZE; i++) {
		uint32_t at = i - (uint32_t)(TABLE_AT - TABLE_PAGE);

		ORACLE(t[i] == table_before[i] ||
			       (h.acpi.tpm2_log &&
				(at == 9 || (at >= ACPI_TPM2_LENGTH && at < ACPI_TPM2_END))),
		       "memory beside the table's fields was written");
	}
	for (uint32_t i = 0; i < ACPI_TPM2_END; i++) {
		sum = (uint8_t)(sum + table[i]);
	}
	ORACLE(sum == 0, "the table's checksum");
	if (!h.acpi.tpm2_log) {
		return 0;
	}
	ORACLE(le64(table + ACPI_TPM2_ADDRESS) == LOG_AT && size >= h.tcg.size &&
		       size <= h.tcg.room,
	       "the log that the table names");
	return size;
}

/* Each entry is an event that the TPM took, with the TPM's digests in the header's order. */
static void check_log(uint32_t size)
{
	const uint8_t *p = fake_ram(LOG_AT);
	uint32_t at = h.tcg.size, i = 0;
	struct attest_event e;
	struct wire_fault why;

	while (at < size) {
		uint32_t n = (uint32_t)tcglog_event_size(&h.tcg.log, p + at, size - at);

		ORACLE(n != 0 && i < tpm.events, "an entry of the log");
		ORACLE(le32(p + at) == ATTEST_PCR && le32(p + at + 4) == EV_EVENT_TAG,
		       "an entry's PCR or type");
		ORACLE(n >= tpm.event[i].n && memcmp(p + at + n - tpm.event[i].n, tpm.event[i].data,
						     tpm.event[i].n) == 0,
		       "an entry has other bytes than the TPM was told");
		ORACLE(attest_event_parse(tpm.event[i].data, tpm.event[i].n, &e, &why),
		       "an event that no verifier reads");
		i++;
		at += n;
	}
	if (attest_state() == ATTEST_OK) {
		ORACLE(i == tpm.events && i >= 2 && e.what == ATTEST_END && tpm.reset,
		       "called complete, and is not");
	}
}

static void check(void)
{
	const uint8_t *p = fake_ram(LOG_AT);
	bool asked = h.tcg.why == HANDOFF_TCG_OK && h.acpi.tpm2_addr != 0 &&
		     h.acpi.tpm2_method == ACPI_TPM2_TIS;
	uint32_t size;

	ORACLE(asked || (attest_state() != ATTEST_OK && fake.mmio_count == mmio),
	       "a TPM is asked without need");
	h.acpi.tpm2_log = h.acpi.tpm2_log && asked;
	size = check_table();
	ORACLE(!tpm.open || fake.tsc - tpm.started <= COMMAND_MOST, "a command takes too long");
	ORACLE(tpm.active != 2, "the locality is kept");
	ORACLE((attest_state() == ATTEST_OK) == (strcmp(attest_reason(), "yes") == 0), "reason");
	ORACLE(report_key_exists() || attest_state() == ATTEST_NO_RANDOM, "no key");
	ORACLE(memcmp(p, before, h.tcg.size) == 0 && memcmp(p + h.tcg.room, before + h.tcg.room,
							    sizeof(before) - h.tcg.room) == 0,
	       "written beside the log's room");
	if (h.acpi.tpm2_log) {
		ORACLE(memcmp(p + size, before + size, sizeof(before) - size) == 0,
		       "written behind the log's end");
		check_log(size);
	}
	fake_check_idle();
}

/* Bad randomness gives no key, whatever else is in it, and forgets the one before; with a key, it is written whole. */
static void check_key(void)
{
	uint8_t cose[REPORT_COSE_SIZE];

	if (fake.seed != FAKE_SEED_GOOD || (last == SIGNERS && fake.no_random)) {
		ORACLE(report_key_make(NULL, 0) == ATTEST_NO_RANDOM && !report_key_exists(),
		       "a key of bad randomness");
		ORACLE(report_key_cose(cose, sizeof(cose)) == 0, "no key, but its encoding");
	}
	fake.no_random = false; /* the next boot has a key again */
	fake.seed = FAKE_SEED_GOOD;
	CHECK_FUZZ(report_key_exists() || report_key_make(NULL, 0) == ATTEST_OK);
	ORACLE(report_key_cose(cose, sizeof(cose)) == sizeof(cose) &&
		       report_key_cose(cose, sizeof(cose) - 1) == 0,
	       "the key's encoding");
}

/*
 * Two who want signatures: bit 0: who, bit 1: urgently, the rest: milliseconds since the last one. One signature is made at a time; the
 * other one waits, but for who is urgent, and for who does not come back.
 */
static void signers(struct script *s)
{
	static const uint8_t digest[2][ATTEST_DIGEST] = { { 1 }, { 2 } };
	uint8_t signature[REPORT_SIGNATURE];
	unsigned who = 0, owner = 0, steps = 0;
	bool under_way = false, owner_urgent = false;
	uint64_t asked = 0;

	while (script_more(s) || under_way) {
		unsigned a = script_more(s) ? (unsigned)script_take(s, 1) : owner;
		bool urgent = (a & 2) != 0;
		enum report_step step;

		who = a & 1;
		fake.tsc += (a >> 2) * (FAKE_TSC_HZ / 1000);
		step = report_key_sign(digest[who], urgent, signature);
		ORACLE(step != REPORT_NO_KEY, "no key");
		if (under_way && who != owner && time_ns() - asked < REPORT_PATIENCE_NS &&
		    (owner_urgent || !urgent)) {
			ORACLE(step == REPORT_AGAIN, "somebody else's turn");
			continue;
		}
		if (!under_way || who != owner) {
			steps = 0;
			owner_urgent = urgent;
		}
		owner = who;
		asked = time_ns();
		under_way = step == REPORT_AGAIN;
		ORACLE(++steps <= SIGN_STEPS && (under_way || steps > 1), "steps of a signature");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script setup = { NULL, 0, 0 };
	static bool started;

	if (!started) {
		started = true;
		fake_bare();
		CHECK_FUZZ(report_key_make(NULL, 0) == ATTEST_OK);
	}
	fake_select(0);
	script = (struct script){ data, size, 0 };
	(void)script_action(&script, &setup);
	machine(&setup);
	mmio = fake.mmio_count;
	attest_start(&h);
	check();
	check_key();
	if (last == SIGNERS) {
		signers(&setup);
	}
	return 0;
}

FUZZ_QUIET_END
