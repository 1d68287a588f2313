// SPDX-License-Identifier: MIT
/*
 * Replays a corpus without each check in turn, inside libFuzzer's program (LLVMFuzzerInitialize comes before anything is fuzzed).
 * PLANTED_REPLAY=FOLDER PLANTED_CHECKS=N: for each check a line: its number, how many inputs it refuses, and "never", "same",
 * "verdict" (an answer is another one) or "oracle". PLANTED_DELETE=N,N,...: fuzzes, and runs each input that one of these checks refuses
 * without that check, too. Where an answer is another one then, the input is written to PLANTED_NOTICED/N; where the program ends,
 * PLANTED_NOTICED/now (struct now) says without which check and with which input. PLANTED_WALK=FOLDER: before that, each
 * input of the folder with one thing changed (fuzz/planted/walk.c): most checks are one step away from what is right.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/planted/checks.h"
#include "fuzz/planted/walk.h"

#define CHECKS_MAX 4096
#define INPUTS_MAX 4096
#define LIMIT 2 /* seconds of CPU without one check */
#define IN_A_CHILD 8

unsigned planted_deleted;
uint64_t planted_verdict;
/* libFuzzer keeps an input for the first refusal of each check, as for a new branch. */
__attribute__((section("__libfuzzer_extra_counters"))) uint8_t planted_hit[CHECKS_MAX];

static struct input {
	uint8_t *bytes;
	size_t n;
	uint64_t verdict;
	bool stable,
		alone; /* alone: in a child of its own, as the program keeps something from one run to the next */
	uint8_t hit[CHECKS_MAX];
} *input;
static unsigned inputs, checks;
static uint8_t wanted[CHECKS_MAX];

/* A file: whoever started this program reads there what it was at when it ended. */
static struct now {
	uint64_t walked; /* steps of the walk that are done */
	uint32_t without, n;
	uint8_t bytes[1 << 17];
} *now;

int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
void oracle_verdict(const void *bytes, size_t n);
int __lsan_do_recoverable_leak_check(void);
void __sanitizer_set_death_callback(void (*callback)(void));

/* fuzz/oracle.h: what a session says to others. */
void oracle_verdict(const void *bytes, size_t n)
{
	planted_mix(n);
	for (size_t i = 0; i < n; i++) {
		planted_mix(((const uint8_t *)bytes)[i]);
	}
}

static uint64_t run(const uint8_t *bytes, size_t n, unsigned deleted)
{
	uint8_t *copy = malloc(n != 0 ? n : 1);

	if (copy == NULL) {
		abort();
	}
	memcpy(copy, bytes, n);
	planted_deleted = deleted;
	planted_verdict = 14695981039346656037ull;
	__real_LLVMFuzzerTestOneInput(copy, n);
	planted_deleted = 0;
	free(copy);
	return planted_verdict;
}

static void limit_time(bool on)
{
	const struct itimerval limit = { .it_value = { on ? LIMIT : 0, 0 } };

	(void)setitimer(ITIMER_PROF, &limit, NULL);
}

/*
 * What the caller goes on with is not changed by this run: it is a child's. What the program keeps (numbers of partitions, the time, what
 * is free in a heap) is the same for each run that begins here. false: it ended, leaked or took too long.
 */
static bool run_alone(const uint8_t *bytes, size_t n, unsigned deleted, uint64_t *verdict)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGTRAP, SIGFPE };
	static uint64_t *shared;
	int status = 0;
	pid_t child;

	if (shared == NULL) {
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (shared == MAP_FAILED) {
			_exit(2);
		}
	}
	child = fork();
	if (child == 0) {
		for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
			(void)signal(deadly[i], SIG_DFL);
		}
		__sanitizer_set_death_callback(NULL);
		(void)dup2(open("/dev/null", O_WRONLY), 2);
		limit_time(true);
		*shared = run(bytes, n, deleted);
		_exit(__lsan_do_recoverable_leak_check() != 0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		_exit(2);
	}
	*verdict = *shared;
	return status == 0;
}

static void load(const char *folder)
{
	DIR *dir = opendir(folder);

	input = calloc(INPUTS_MAX, sizeof(*input));
	if (dir == NULL || input == NULL) {
		_exit(2);
	}
	for (struct dirent *e = readdir(dir); e != NULL && inputs < INPUTS_MAX; e = readdir(dir)) {
		struct input *in = &input[inputs];
		char path[4096];
		FILE *file;

		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		file = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
		in->bytes = file == NULL ? NULL : malloc(1 << 17);
		if (in->bytes != NULL) {
			in->n = fread(in->bytes, 1, 1 << 17, file);
			(void)fclose(file);
			inputs++;
		}
	}
	(void)closedir(dir);
}

static void without(unsigned n)
{
	uint64_t v;

	for (unsigned i = 0; i < inputs; i++) {
		if (input[i].hit[n] == 0 || !input[i].alone) {
			continue;
		}
		if (!run_alone(input[i].bytes, input[i].n, n, &v)) {
			_exit(4);
		}
		if (v != input[i].verdict) {
			_exit(3);
		}
	}
	(void)dup2(open("/dev/null", O_WRONLY), 2);
	limit_time(true);
	for (unsigned i = 0; i < inputs; i++) {
		v = input[i].hit[n] != 0 && !input[i].alone ? run(input[i].bytes, input[i].n, n)
							    : input[i].verdict;
		if (input[i].stable && v != input[i].verdict) {
			_exit(3);
		}
	}
	_exit(__lsan_do_recoverable_leak_check() != 0 ? 4 : 0);
}

/* What this input's verdict is, and which checks it reaches with what they refuse. */
static void judge(struct input *in)
{
	(void)run(in->bytes, in->n, 0); /* what is made once is made now */
	memset(planted_hit, 0, sizeof(planted_hit));
	in->verdict = run(in->bytes, in->n, 0);
	memcpy(in->hit, planted_hit, sizeof(in->hit));
	in->stable = run(in->bytes, in->n, 0) == in->verdict;
}

/* Each child of this program, as it is now, says the same of this input, or it is run as the others, for what ends it. */
static void judge_alone(struct input *in)
{
	uint64_t first, second;

	in->alone = run_alone(in->bytes, in->n, 0, &first) &&
		    run_alone(in->bytes, in->n, 0, &second) && first == second;
	in->stable = in->alone;
	in->verdict = in->alone ? first : in->verdict;
}

static void replay(const char *folder)
{
	load(folder);
	for (unsigned i = 0; i < inputs; i++) {
		judge(&input[i]);
	}
	for (unsigned i = 0; i < inputs;
	     i++) { /* after all the others: nothing is kept from now on */
		if (!input[i].stable || run(input[i].bytes, input[i].n, 0) != input[i].verdict) {
			judge_alone(&input[i]);
		}
	}
	for (unsigned n = 1; n <= checks; n++) {
		unsigned hits = 0;
		const char *how = "never";
		int status = 0;

		for (unsigned i = 0; i < inputs; i++) {
			hits += input[i].hit[n];
		}
		if (hits != 0) {
			(void)fflush(stdout);
			if (fork() == 0) {
				without(n);
			}
			(void)wait(&status);
			how = status == 0 ? "same" : status == 3 << 8 ? "verdict" : "oracle";
		}
		printf("%u %u %s\n", n, hits, how);
	}
	(void)fflush(stdout);
	_exit(0);
}

static unsigned number(const char *name)
{
	const char *text = getenv(name);

	return text == NULL ? 0 : (unsigned)strtoul(text, NULL, 10);
}

/* The folder's file `name` gets these bytes. */
static void leave(const char *name, const uint8_t *bytes, size_t n)
{
	char path[4096];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", getenv("PLANTED_NOTICED"), name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, 1, n, file) != n || fclose(file) != 0) {
		_exit(2);
	}
}

static void look_for(void)
{
	char *list = getenv("PLANTED_DELETE");

	for (char *p = list; p != NULL && *p != 0; p = *p == ',' ? p + 1 : p) {
		unsigned long n = strtoul(p, &p, 10);

		wanted[n % CHECKS_MAX] = 1;
		checks = n > checks ? (unsigned)(n % CHECKS_MAX) : checks;
	}
	if (getenv("PLANTED_NOTICED") != NULL) {
		char path[4096];
		int fd;

		(void)snprintf(path, sizeof(path), "%s/now", getenv("PLANTED_NOTICED"));
		fd = open(path, O_RDWR | O_CREAT, 0644);
		if (fd < 0 || ftruncate(fd, sizeof(*now)) != 0) {
			_exit(2);
		}
		now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (now == MAP_FAILED) {
			_exit(2);
		}
		now->without = 0;
	}
}

static bool notices_alone(const uint8_t *data, size_t size, unsigned n)
{
	uint64_t first, second, missing;

	return run_alone(data, size, 0, &first) && run_alone(data, size, 0, &second) &&
	       first == second && (!run_alone(data, size, n, &missing) || missing != first);
}

/* In a child at first: most of those that end the program do so at once, and to start it anew takes longer than a child. */
static bool notices(const uint8_t *data, size_t size, unsigned n, uint64_t with)
{
	static uint8_t tried[CHECKS_MAX];
	static bool kept; /* the program keeps something: in children only */
	bool differs;

	if (kept || tried[n] < IN_A_CHILD) {
		tried[n] = (uint8_t)(tried[n] + !kept);
		return notices_alone(data, size, n);
	}
	limit_time(true);
	differs = run(data, size, n) != with;
	limit_time(false);
	if (differs && run(data, size, 0) != with) {
		kept = true;
		return notices_alone(data, size, n);
	}
	return differs;
}

int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t hit[CHECKS_MAX];
	uint64_t with;

	memset(planted_hit, 0, sizeof(planted_hit));
	with = run(data, size, 0);
	memcpy(hit, planted_hit, sizeof(hit));
	for (unsigned n = 1; n <= checks; n++) {
		char name[16];

		if (hit[n] == 0 || wanted[n] == 0 || size > sizeof(now->bytes)) {
			continue;
		}
		memcpy(now->bytes, data, size);
		now->n = (uint32_t)size;
		now->without = n;
		if (notices(data, size, n, with)) {
			(void)snprintf(name, sizeof(name), "%u", n);
			leave(name, data, size);
			wanted[n] = 0;
		}
		now->without = 0;
	}
	memcpy(planted_hit, hit, sizeof(hit));
	return 0;
}

static int by_size(const void *a, const void *b)
{
	size_t m = ((const struct input *)a)->n, n = ((const struct input *)b)->n;

	return (m > n) - (m < n);
}

/* One step. What an earlier run of this walk has done, before it ended without a check, is not done again. */
static void walked(const uint8_t *bytes, size_t n)
{
	static uint64_t step;

	if (++step > now->walked) {
		now->walked = step;
		(void)__wrap_LLVMFuzzerTestOneInput(bytes, n);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *walk = getenv("PLANTED_WALK");

	(void)argc;
	(void)argv;
	checks = number("PLANTED_CHECKS");
	if (checks >= CHECKS_MAX) {
		_exit(2);
	}
	if (getenv("PLANTED_REPLAY") != NULL) {
		replay(getenv("PLANTED_REPLAY"));
	}
	look_for();
	if (walk != NULL) {
		load(walk);
		qsort(input, inputs, sizeof(*input), by_size);
		for (unsigned i = 0; i < inputs; i++) {
			walk_input(input[i].bytes, input[i].n, walked);
		}
		_exit(0);
	}
	return 0;
}
