/* SPDX-License-Identifier: MIT */
/* netvsp: one for each network adapter. The order of the start is in hv/host/lib/start.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/host/lib/start.h"
#include "hv/host/netvsp/netvsp.h"

/* Descriptors of PM_CONFIG_NETVSP. */
enum { FD_MEMORY, FD_WORKER, FD_STATE, FD_PORT };

static struct netvsp_state *map_state(int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0) {
		start_fail("state: %s", strerror(errno));
	}
	if ((uint64_t)st.st_size < sizeof(struct netvsp_state) &&
	    ftruncate(fd, sizeof(struct netvsp_state)) != 0) {
		start_fail("size of the state: %s", strerror(errno));
	}
	p = mmap(NULL, sizeof(struct netvsp_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		start_fail("state: %s", strerror(errno));
	}
	(void)close(fd);
	return p;
}

int main(int argc, char **argv)
{
	static struct netvsp netvsp;
	struct netvsp *n = &netvsp;
	const struct pm_config_netvsp *config;
	struct netvsp_state *state;
	struct ipc_message *m;
	int worker, port;

	start_arguments(argc, argv, "netvsp", "serves one network adapter of a virtual machine");
	m = start_config(PM_CONFIG_NETVSP);
	config = &m->netvsp;
	start_map_memory(&n->mem, ipc_take_fd(m, FD_MEMORY), config->memory_bytes);
	worker = ipc_take_fd(m, FD_WORKER);
	port = ipc_take_fd(m, FD_PORT);
	state = map_state(ipc_take_fd(m, FD_STATE));
	netvsp_init(n, state, config->mac, config->restarted != 0, IPC_CONTROL_FD, worker, port);
	start_done(m, &netvsp_policy);
	while (netvsp_step(n, -1)) {
	}
	return 0;
}
