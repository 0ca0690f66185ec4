/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Media of a room in a file, as the original analyzer writes and reads it: "WZP" and 1, the length of a
 * JSON object (u32, little endian), the object, then for each datagram the microseconds since the
 * beginning (u64), its length (u32), its bytes.
 */
#ifndef CLIENT_WZP_FILE_H
#define CLIENT_WZP_FILE_H

#include "plm_base.h"
#include "replay.h"

struct wzp_file;

/**
 * Begin a file.
 * @param relay  address and port, for the header
 * @param room  for the header
 * @param start_ns  Unix time of the beginning
 * @return 0 or negative errno; `why` says it.
 */
int wzp_file_create(struct wzp_file **file, const char *path, const char *relay, const char *room,
		uint64_t start_ns, struct plm_text *why);

/** One datagram, `at_ns` after the beginning. Errors show at the end. */
void wzp_file_add(struct wzp_file *file, uint64_t at_ns, const uint8_t *buf, size_t len);

/** Write what is left, close, free. Takes NULL. 0 or negative errno: it is not whole. */
int wzp_file_close(struct wzp_file *file);

/**
 * Read a file, to be sent as it is: `is_raw`, one source, one lap.
 * @return 0; -EINVAL (no such file, no such format, cut off, empty); -E2BIG; -ENOMEM. `why` says it.
 */
int wzp_file_load(struct replay **replay, const char *path, struct plm_text *why);

#endif
