/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_VERSION_H
#define HV_CORE_VERSION_H

#define REDOUBT_VERSION "0.1.0"
#define REDOUBT_SVN \
	1 /* security version: raised when a hole is closed, so that a verifier can refuse what is older */
#define REDOUBT_BUILD "clang " __clang_version__

#endif
