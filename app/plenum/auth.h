/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens are validated by an HTTP server, which a control thread asks. */
#ifndef AUTH_H
#define AUTH_H

#include "plm_auth.h"

#define AUTH_REQUESTS_MAX 1024
#define AUTH_ERROR_SIZE   192

struct auth;

struct auth_conf {
	const char *url; /* http or https */
	const char *ca; /* file with the certificates that one of https is to be signed by; "": the system's */
	uint32_t requests;   /* in flight at once, 1 to AUTH_REQUESTS_MAX */
	uint32_t timeout_ms; /* of a request, from its begin to the last byte of the answer */
};

/* What it did since its start. */
struct auth_figures {
	uint64_t asked;
	uint64_t valid;
	uint64_t invalid;
	uint64_t failed;
	uint64_t busy; /* not taken: as many in flight as may be */
	uint32_t in_flight;
	uint64_t error_ns; /* when it failed last, or was told something else than 2xx; 0: never */
	char error[AUTH_ERROR_SIZE]; /* and why: one line of printable ASCII */
};

/* Whether a URL is one to ask: 0, or -EINVAL with what is allowed in `why`. */
int auth_check_url(const char *url, struct plm_text *why);

/* After EAL. 0 or negative errno, `why` is one line. */
int auth_start(struct auth **auth, const struct auth_conf *conf, struct plm_text *why);

/* End the thread, whatever is in flight. The slow path asks no more. Takes NULL. */
void auth_stop(struct auth *auth);

/* What the slow path asks; as long as `auth` is there. */
const struct plm_auth *auth_of(const struct auth *auth);

/* Any thread but the slow path and the workers. */
void auth_read(struct auth *auth, struct auth_figures *figures);

#endif
