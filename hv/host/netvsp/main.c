/* SPDX-License-Identifier: MIT */
/* netvsp: one for each network adapter. The order of the start is in hv/host/lib/start.h. */
#include "hv/host/lib/start.h"
#include "hv/host/netvsp/netvsp.h"

/* Descriptors of PM_CONFIG_NETVSP. */
enum { FD_MEMORY, FD_WORKER, FD_STATE, FD_PORT };

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
	state = start_map_state(ipc_take_fd(m, FD_STATE), sizeof(*state));
	netvsp_init(n, state, config->mac, config->restarted != 0, IPC_CONTROL_FD, worker, port);
	start_done(m, &netvsp_policy);
	while (netvsp_step(n, -1)) {
	}
	return 0;
}
