// SPDX-License-Identifier: MIT
/* Alone, because <sys/wait.h> and hv/core/vp.h both name registers REG_RAX. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

bool dies(void (*f)(void));

/* Runs f in a child; true where a CHECK, a panic or a broken contract ended it. */
bool dies(void (*f)(void))
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		if (freopen("/dev/null", "w", stderr) == NULL) {
			_exit(3);
		}
		f();
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGABRT;
}
