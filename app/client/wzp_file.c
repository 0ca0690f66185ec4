/* SPDX-License-Identifier: BSD-3-Clause */
#include "wzp_file.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#define MAGIC       "WZP\x01"
#define MAGIC_SIZE  4
#define PREFIX_SIZE (MAGIC_SIZE + 4)
#define RECORD_SIZE (8 + 4)
#define HEADER_MAX  65536
#define VERSION     1

struct wzp_file {
	FILE *file; /* owned */
	int error;  /* the first one, negative errno */
};

/* --- little-endian numbers ------------------------------------------------------------------ */

static void
put_le32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_le_32(v);
	memcpy(p, &v, sizeof(v));
}

static void
put_le64(uint8_t *p, uint64_t v)
{
	v = rte_cpu_to_le_64(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t
get_le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return rte_le_to_cpu_32(v);
}

static uint64_t
get_le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return rte_le_to_cpu_64(v);
}

/* --- writing -------------------------------------------------------------------------------- */

static void
file_write(struct wzp_file *file, const void *buf, size_t len)
{
	if (file->error == 0 && fwrite(buf, 1, len, file->file) != len)
		file->error = errno != 0 ? -errno : -EIO;
}

/* The keys in the analyzer's order. NULL: no memory, or a name that is not UTF-8. */
static char *
header_make(const char *relay, const char *room, uint64_t start_ns)
{
	time_t start_s = (time_t)(start_ns / PLM_NS_PER_S);
	char when[64];
	struct tm tm;
	json_t *o;
	char *text;

	gmtime_r(&start_s, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + strlen(when), sizeof(when) - strlen(when), ".%09" PRIu64 "+00:00",
			start_ns % PLM_NS_PER_S);
	o = json_pack("{s:s, s:s, s:s, s:i}", "relay", relay, "room", room, "start_time", when,
			"version", VERSION);
	text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

int
wzp_file_create(struct wzp_file **out, const char *path, const char *relay, const char *room,
		uint64_t start_ns, struct plm_text *why)
{
	struct wzp_file *file = calloc(1, sizeof(*file));
	char *header = header_make(relay, room, start_ns);
	uint8_t prefix[PREFIX_SIZE] = MAGIC;
	int ret = -ENOMEM;

	if (file == NULL || header == NULL) {
		plm_text_add(why, "out of memory");
		goto fail;
	}
	file->file = fopen(path, "wbe");
	if (file->file == NULL) {
		ret = -errno;
		plm_text_add(why, "%s", strerror(-ret));
		goto fail;
	}
	put_le32(prefix + MAGIC_SIZE, (uint32_t)strlen(header));
	file_write(file, prefix, sizeof(prefix));
	file_write(file, header, strlen(header));
	free(header);
	*out = file;
	return 0;

fail:
	free(header);
	free(file);
	return ret;
}

void
wzp_file_add(struct wzp_file *file, uint64_t at_ns, const uint8_t *buf, size_t len)
{
	uint8_t record[RECORD_SIZE];

	put_le64(record, at_ns / PLM_NS_PER_US);
	put_le32(record + 8, (uint32_t)len);
	file_write(file, record, sizeof(record));
	file_write(file, buf, len);
}

int
wzp_file_close(struct wzp_file *file)
{
	int ret;

	if (file == NULL)
		return 0;
	ret = file->error;
	if (fclose(file->file) != 0 && ret == 0)
		ret = -errno;
	free(file);
	return ret;
}

/* --- reading -------------------------------------------------------------------------------- */

/* The whole of it. NULL: `why` says it. */
static uint8_t *
read_all(const char *path, size_t *len, int *error, struct plm_text *why)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *buf = NULL;
	size_t size = 0;
	size_t n = 0;

	*error = -EINVAL;
	if (file == NULL) {
		plm_text_add(why, "%s", strerror(errno));
		return NULL;
	}
	*len = 0;
	do {
		*len += n;
		if (*len == size) {
			uint8_t *more;

			size = RTE_MAX(2 * size, (size_t)1 << 20);
			more = size <= 2 * REPLAY_BYTES_MAX ? realloc(buf, size) : NULL;
			if (more == NULL) {
				*error = size <= 2 * REPLAY_BYTES_MAX ? -ENOMEM : -E2BIG;
				plm_text_add(why, *error == -E2BIG ? "too large" : "out of memory");
				goto fail;
			}
			buf = more;
		}
		n = fread(buf + *len, 1, size - *len, file);
	} while (n != 0);
	if (ferror(file)) {
		plm_text_add(why, "%s", strerror(errno));
		goto fail;
	}
	fclose(file);
	return buf;

fail:
	free(buf);
	fclose(file);
	return NULL;
}

/* Move to the first record. */
static bool
skip_header(struct plm_cursor *c, struct plm_text *why)
{
	json_t *header;
	uint32_t len;

	if (plm_cursor_left(c) < PREFIX_SIZE || memcmp(c->pos, MAGIC, MAGIC_SIZE) != 0) {
		plm_text_add(why, "not a WZP capture");
		return false;
	}
	len = get_le32(c->pos + MAGIC_SIZE);
	plm_cursor_bytes(c, PREFIX_SIZE);
	if (len > HEADER_MAX || len > plm_cursor_left(c)) {
		plm_text_add(why, "its header is cut off");
		return false;
	}
	header = json_loadb((const char *)plm_cursor_bytes(c, len), len, JSON_REJECT_DUPLICATES,
			NULL);
	if (json_integer_value(json_object_get(header, "version")) != VERSION) {
		plm_text_add(why, "its header is not one of version %d", VERSION);
		json_decref(header);
		return false;
	}
	json_decref(header);
	return true;
}

/* One record; with `packet` it is kept. False: it is cut off, or no datagram. */
static bool
take_record(struct plm_cursor *c, const uint8_t *bytes, struct replay_packet *packet)
{
	uint64_t at_us;
	uint32_t len;

	if (plm_cursor_left(c) < RECORD_SIZE)
		return false;
	at_us = get_le64(c->pos);
	len = get_le32(c->pos + 8);
	plm_cursor_bytes(c, RECORD_SIZE);
	if (len > plm_cursor_left(c) || len > REPLAY_DATAGRAM ||
			at_us > UINT64_MAX / 2 / PLM_NS_PER_US)
		return false;
	if (packet != NULL)
		*packet = (struct replay_packet){ .at_ns = at_us * PLM_NS_PER_US,
			.off = (uint32_t)(c->pos - bytes),
			.len = (uint16_t)len };
	plm_cursor_bytes(c, len);
	return true;
}

static int
take_records(struct replay *r, struct plm_cursor c, struct plm_text *why)
{
	struct plm_cursor again = c;
	uint64_t nb = 0;

	for (; plm_cursor_left(&c) != 0; nb++)
		if (nb == REPLAY_PACKETS_MAX || !take_record(&c, r->bytes, NULL)) {
			plm_text_add(why, "cut off, or no datagram, behind %" PRIu64 " of them",
					nb);
			return -EINVAL;
		}
	if (nb == 0) {
		plm_text_add(why, "empty");
		return -EINVAL;
	}
	r->packets = calloc(nb, sizeof(*r->packets));
	if (r->packets == NULL) {
		plm_text_add(why, "out of memory");
		return -ENOMEM;
	}
	r->nb_packets = nb;
	for (uint64_t i = 0; i < nb; i++) {
		struct replay_packet *packet = &r->packets[i];

		take_record(&again, r->bytes, packet);
		/* From the first one on, and never back. */
		if (i != 0)
			packet->at_ns = RTE_MAX(packet->at_ns, r->packets[i - 1].at_ns);
	}
	for (uint64_t i = nb; i-- != 0;)
		r->packets[i].at_ns -= r->packets[0].at_ns;
	return 0;
}

int
wzp_file_load(struct replay **replay, const char *path, struct plm_text *why)
{
	struct replay *r = calloc(1, sizeof(*r));
	struct plm_cursor c;
	size_t len = 0;
	int ret = -ENOMEM;

	if (r == NULL) {
		plm_text_add(why, "out of memory");
		return ret;
	}
	r->is_raw = true;
	r->nb_sources = 1;
	r->bytes = read_all(path, &len, &ret, why);
	if (r->bytes == NULL)
		goto fail;
	c = plm_cursor(r->bytes, len);
	ret = skip_header(&c, why) ? take_records(r, c, why) : -EINVAL;
	if (ret < 0)
		goto fail;
	r->lap_ns = r->packets[r->nb_packets - 1].at_ns;
	*replay = r;
	return 0;

fail:
	replay_free(r);
	return ret;
}
