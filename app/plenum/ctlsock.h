/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: `plenum ctl` types commands into a relay that runs. */
#ifndef CTLSOCK_H
#define CTLSOCK_H

#include "plm_base.h"

struct app;
struct ctlsock;

/*
 * A request is one line. An answer is one line "RESULT LENGTH", RESULT as enum plm_cli_result,
 * then LENGTH bytes of text.
 */
#define CTLSOCK_LINE 512

/* Bind and listen, mode 0600; before EAL, so that a second relay fails before it takes a port.
 * 0, -EADDRINUSE and others; `why` is one line. */
int ctlsock_bind(struct ctlsock **sock, const char *path, struct plm_text *why);

/* Serve on a control thread. 0 or negative errno. */
int ctlsock_start(struct ctlsock *sock, struct app *app);

/* End the thread, hang up, remove the socket. Takes NULL. */
void ctlsock_stop(struct ctlsock *sock);

/* Connect to a relay. A descriptor or negative errno. */
int ctlsock_connect(const char *path);

#endif
