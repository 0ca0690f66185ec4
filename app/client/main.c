/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"

int
main(int argc, char **argv)
{
	struct client_conf conf;
	int ret;

	if (argc < 2) {
		options_usage(stderr);
		return CLIENT_FAILED;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		options_usage(stdout);
		return CLIENT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("plenum-client %s\n", PLM_VERSION);
		return CLIENT_OK;
	}
	ret = options_parse(argc - 1, argv + 1, &conf);
	if (ret > 0)
		return CLIENT_OK;
	if (ret < 0) {
		fprintf(stderr, "Try 'plenum-client --help' or 'plenum-client VERB --help'.\n");
		return CLIENT_FAILED;
	}
	return client_run(&conf);
}
