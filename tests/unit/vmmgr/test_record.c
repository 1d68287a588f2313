// SPDX-License-Identifier: MIT
/* Who gets an end of the socket for records, and when: nobody unless asked for. The processes are played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/host/vmmgr/vm.h"

static struct vm vm;
static int listener, held[VM_PROCESSES]; /* what each process was handed, or -1 */
static unsigned before, handed;
static char why[200];

void say(const char *format, ...)
{
	(void)format;
}

bool process_lives(const struct process *p)
{
	return p->state == PROCESS_STARTING || p->state == PROCESS_READY;
}

bool process_send(struct process *p, enum pm_type type, void *message, uint32_t size,
		  const int *fds, uint32_t fd_count)
{
	const struct pm_record *m = message;

	assert_int_equal(type, PM_RECORD);
	assert_int_equal(size, sizeof(*m));
	assert_int_equal(m->index, p->index);
	assert_int_equal(fd_count, 1);
	assert_int_equal(held[p - vm.process], -1);
	held[p - vm.process] = dup(fds[0]);
	handed++;
	return true;
}

static unsigned descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

static int set_up(void **state)
{
	static const enum program programs[] = { PROGRAM_WORKER,  PROGRAM_STORVSP, PROGRAM_IC,
						 PROGRAM_CONSOLE, PROGRAM_NETVSP,  PROGRAM_NETVSP };

	(void)state;
	memset(&vm, 0, sizeof(vm));
	(void)snprintf(vm.definition.name, sizeof(vm.definition.name), "web");
	vm.recorder = -1;
	vm.process_count = sizeof(programs) / sizeof(programs[0]);
	for (uint32_t i = 0; i < vm.process_count; i++) {
		vm.process[i].program = programs[i];
		vm.process[i].state = PROCESS_READY;
		held[i] = -1;
	}
	vm.process[5].index = 1;
	listener = -1;
	handed = 0;
	why[0] = '\0';
	before = descriptors();
	return 0;
}

static void processes_end(void)
{
	for (uint32_t i = 0; i < vm.process_count; i++) {
		if (held[i] >= 0) {
			(void)close(held[i]);
			held[i] = -1;
		}
	}
}

static int tear_down(void **state)
{
	(void)state;
	vm_record_end(&vm);
	processes_end();
	if (listener >= 0) {
		(void)close(listener);
	}
	return descriptors() == before ? 0 : -1;
}

static void test_off(void **state)
{
	(void)state;
	assert_false(vm_recorded(&vm));
	for (uint32_t i = 0; i < vm.process_count; i++) {
		vm_record_hand(&vm, &vm.process[i]);
	}
	assert_int_equal(handed, 0);
	vm_record_end(&vm);
	assert_int_equal(vm.recorder, -1);
}

/* All that serve the guest; the console has what the worker has. Who does not run gets it when it starts. */
static void test_handed(void **state)
{
	(void)state;
	vm.process[1].state = PROCESS_WAITING;
	vm.process[2].state = PROCESS_STARTING;
	assert_true(vm_record(&vm, &listener, why, sizeof(why)));
	assert_true(vm_recorded(&vm) && listener >= 0);
	assert_int_equal(handed, 4);
	assert_int_equal(held[1], -1);
	assert_int_equal(held[3], -1);
	vm.process[1].state = PROCESS_STARTING;
	vm_record_hand(&vm, &vm.process[1]);
	vm_record_hand(&vm, &vm.process[3]);
	assert_int_equal(handed, 5);
	assert_int_equal(held[3], -1);
	assert_true((fcntl(listener, F_GETFD) & fcntl(vm.recorder, F_GETFD) & FD_CLOEXEC) != 0);
}

/* What a process sends comes whole, and the kernel says from whom. */
static void test_sender(void **state)
{
	char text[16] = "";
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec v = { text, sizeof(text) };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct ucred from;

	(void)state;
	assert_true(vm_record(&vm, &listener, why, sizeof(why)));
	assert_int_equal(send(held[0], "one", 3, 0), 3);
	assert_int_equal(send(held[4], "two", 3, 0), 3);
	for (unsigned i = 0; i < 2; i++) {
		h.msg_controllen = sizeof(control);
		assert_int_equal(recvmsg(listener, &h, MSG_DONTWAIT), 3);
		assert_memory_equal(text, i == 0 ? "one" : "two", 3);
		assert_int_equal(CMSG_FIRSTHDR(&h)->cmsg_type, SCM_CREDENTIALS);
		memcpy(&from, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(from));
		assert_true(from.pid == getpid() && from.uid == getuid());
	}
	assert_int_equal(send(listener, "x", 1, MSG_NOSIGNAL),
			 1); /* nobody reads it: no way back */
}

static void test_one_only(void **state)
{
	int second = -1, first;

	(void)state;
	assert_true(vm_record(&vm, &listener, why, sizeof(why)));
	first = vm.recorder;
	assert_false(vm_record(&vm, &second, why, sizeof(why)));
	assert_string_equal(why, "web: is being recorded: end the other hvctl record");
	assert_true(second == -1 && vm.recorder == first && vm_recorded(&vm));
	assert_int_equal(handed, 5);
}

/* The listener's end is the recording's; then there may be another. */
static void test_listener_gone(void **state)
{
	(void)state;
	assert_true(vm_record(&vm, &listener, why, sizeof(why)));
	(void)close(listener);
	assert_false(vm_recorded(&vm));
	processes_end();
	vm_record_hand(&vm, &vm.process[0]); /* starts again: nobody listens */
	assert_int_equal(handed, 5);
	assert_true(vm_record(&vm, &listener, why, sizeof(why)));
	assert_true(vm_recorded(&vm));
	assert_int_equal(handed, 10);
}

static void test_machine_ends(void **state)
{
	char byte;

	(void)state;
	assert_true(vm_record(&vm, &listener, why, sizeof(why)));
	vm_record_end(&vm);
	assert_true(!vm_recorded(&vm) && vm.recorder == -1);
	assert_int_equal(recv(listener, &byte, 1, MSG_DONTWAIT),
			 -1); /* a process may still say something */
	assert_int_equal(errno, EAGAIN);
	processes_end();
	assert_int_equal(recv(listener, &byte, 1, MSG_DONTWAIT), 0);
}

static void test_no_descriptors(void **state)
{
	struct rlimit was, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_false(vm_record(&vm, &listener, why, sizeof(why)));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_string_equal(why, "web: socket: Too many open files");
	assert_true(listener == -1 && vm.recorder == -1 && handed == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_off),
		TEST(test_handed),
		TEST(test_sender),
		TEST(test_one_only),
		TEST(test_listener_gone),
		TEST(test_machine_ends),
		TEST(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
