/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals to JSON, byte for byte as the original programs write them: compact, fields in their order,
 * escapes in lower case, floats in the shortest form of 32 bits. The JSON library has other habits.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "wzp_priv.h"

struct writer {
	char *buf;
	size_t size;
	size_t len; /* counts on when nothing fits any more */
};

static void
put(struct writer *w, const void *bytes, size_t len)
{
	if (w->len <= w->size && len <= w->size - w->len)
		memcpy(w->buf + w->len, bytes, len);
	w->len += len;
}

static void
put_raw(struct writer *w, const char *s)
{
	put(w, s, strlen(s));
}

static void
put_u64(struct writer *w, uint64_t v)
{
	char text[24];

	put(w, text, (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)v));
}

static void
put_string(struct writer *w, const char *s)
{
	static const char *const escapes[0x20] = { ['\b'] = "\\b",
		['\t'] = "\\t",
		['\n'] = "\\n",
		['\f'] = "\\f",
		['\r'] = "\\r" };
	char hex[8];

	put(w, "\"", 1);
	for (; *s != '\0'; s++) {
		uint8_t c = (uint8_t)*s;

		if (c == '"' || c == '\\') {
			put(w, "\\", 1);
			put(w, s, 1);
		} else if (c >= 0x20) {
			put(w, s, 1);
		} else if (escapes[c] != NULL) {
			put_raw(w, escapes[c]);
		} else {
			snprintf(hex, sizeof(hex), "\\u%04x", c);
			put_raw(w, hex);
		}
	}
	put(w, "\"", 1);
}

static void
put_bytes(struct writer *w, const uint8_t *bytes, size_t len)
{
	put(w, "[", 1);
	for (size_t i = 0; i < len; i++) {
		if (i > 0)
			put(w, ",", 1);
		put_u64(w, bytes[i]);
	}
	put(w, "]", 1);
}

/* The fewest digits that are this float and no other, never without a point or an exponent. */
static void
put_f32(struct writer *w, float v)
{
	char digits[24], text[64];
	int nb = 0, exp10;
	int point;

	if (signbit(v)) {
		put(w, "-", 1);
		v = -v;
	}
	if (v == 0) {
		put_raw(w, "0.0");
		return;
	}
	for (int precision = 0; precision < 9; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, (double)v);
		if (strtof(text, NULL) == v)
			break;
	}
	exp10 = atoi(strchr(text, 'e') + 1);
	for (const char *p = text; *p != 'e'; p++) {
		if (*p != '.')
			digits[nb++] = *p;
	}
	while (nb > 1 && digits[nb - 1] == '0')
		nb--;
	point = exp10 + 1; /* digits before it */
	if (point >= nb && point <= 13) {
		put(w, digits, (size_t)nb);
		for (int i = nb; i < point; i++)
			put(w, "0", 1);
		put_raw(w, ".0");
	} else if (point > 0 && point <= 13) {
		put(w, digits, (size_t)point);
		put(w, ".", 1);
		put(w, digits + point, (size_t)(nb - point));
	} else if (point > -6 && point <= 0) {
		put_raw(w, "0.");
		for (int i = point; i < 0; i++)
			put(w, "0", 1);
		put(w, digits, (size_t)nb);
	} else {
		put(w, digits, 1);
		if (nb > 1) {
			put(w, ".", 1);
			put(w, digits + 1, (size_t)nb - 1);
		}
		snprintf(text, sizeof(text), "e%+d", exp10);
		put_raw(w, text);
	}
}

/* --- fields -------------------------------------------------------------------------------- */

static int fields_write(struct writer *w, const struct wzp_schema *schema, const void *base);

static int
profiles_write(struct writer *w, const struct plm_wzp_profile_list *profiles)
{
	if (profiles->nb > PLM_WZP_PROFILES_MAX)
		return -EINVAL;
	put(w, "[", 1);
	for (unsigned int i = 0; i < profiles->nb; i++) {
		int ret;

		if (i > 0)
			put(w, ",", 1);
		ret = fields_write(w, &wzp_profile, &profiles->list[i]);
		if (ret < 0)
			return ret;
	}
	put(w, "]", 1);
	return 0;
}

static int
field_write(struct writer *w, const struct wzp_field *field, const void *in)
{
	const struct plm_wzp_signature *signature = in;
	const struct plm_wzp_text *text = in;

	switch ((enum wzp_kind)field->kind) {
	case WZP_KEY:
		put_bytes(w, in, PLM_WZP_KEY);
		return 0;
	case WZP_SIGNATURE:
		if (signature->len > PLM_WZP_SIGNATURE)
			return -EINVAL;
		put_bytes(w, signature->bytes, signature->len);
		return 0;
	case WZP_TEXT:
	case WZP_WORD:
		if (text->is_set)
			put_string(w, text->text);
		else
			put_raw(w, "null");
		return 0;
	case WZP_TOKEN:
		put_string(w, in);
		return 0;
	case WZP_U8:
		put_u64(w, *(const uint8_t *)in);
		return 0;
	case WZP_U64:
		put_u64(w, *(const uint64_t *)in);
		return 0;
	case WZP_F32:
		if (!isfinite(*(const float *)in))
			return -EINVAL;
		put_f32(w, *(const float *)in);
		return 0;
	case WZP_CODEC:
		if (*(const uint8_t *)in >= PLM_WZP_CODECS)
			return -EINVAL;
		put_string(w, wzp_codec_names[*(const uint8_t *)in]);
		return 0;
	case WZP_REASON:
		if ((unsigned int)*(const enum plm_wzp_reason *)in >= PLM_WZP_REASONS)
			return -EINVAL;
		put_string(w, wzp_reason_names[*(const enum plm_wzp_reason *)in]);
		return 0;
	case WZP_PROFILE:
		return fields_write(w, &wzp_profile, in);
	case WZP_PROFILES:
		return profiles_write(w, in);
	case WZP_STRINGS:
	case WZP_BOOL:
	case WZP_U32:
	case WZP_MODE:
	case WZP_REPORT:
	case WZP_PARTICIPANTS:
	case WZP_SIGNAL:
		break;
	}
	return -EINVAL;
}

static int
fields_write(struct writer *w, const struct wzp_schema *schema, const void *base)
{
	bool is_first = true;

	put(w, "{", 1);
	for (unsigned int i = 0; i < schema->nb_fields; i++) {
		const struct wzp_field *field = &schema->fields[i];
		const void *in = (const uint8_t *)base + field->off;
		int ret;

		if (field->off == WZP_NOT_KEPT)
			return -EINVAL;
		if ((field->flags & WZP_OMIT) != 0 && !((const struct plm_wzp_text *)in)->is_set)
			continue;
		if (!is_first)
			put(w, ",", 1);
		is_first = false;
		put_string(w, field->name);
		put(w, ":", 1);
		ret = field_write(w, field, in);
		if (ret < 0)
			return ret;
	}
	put(w, "}", 1);
	return 0;
}

/* --- frames -------------------------------------------------------------------------------- */

static void
length_write(char *buf, size_t len)
{
	for (unsigned int i = 0; i < PLM_WZP_LENGTH; i++)
		buf[i] = (char)(len >> (24 - 8 * i));
}

int
plm_wzp_encode(const struct plm_wzp_signal *signal, void *buf, size_t size)
{
	struct writer w = { buf, size, PLM_WZP_LENGTH };
	const struct wzp_schema *schema;
	int ret = 0;

	if ((unsigned int)signal->type >= PLM_WZP_TYPES)
		return -EINVAL;
	schema = &wzp_signals[signal->type];
	if (schema->nb_fields == 0) {
		put_string(&w, plm_wzp_type_name(signal->type));
	} else {
		put(&w, "{", 1);
		put_string(&w, plm_wzp_type_name(signal->type));
		put(&w, ":", 1);
		ret = fields_write(&w, schema, signal);
		put(&w, "}", 1);
	}
	if (ret < 0)
		return ret;
	if (w.len > size)
		return -ENOSPC;
	length_write(buf, w.len - PLM_WZP_LENGTH);
	return (int)w.len;
}

int
plm_wzp_participant_encode(const uint8_t fp[PLM_WZP_FINGERPRINT], const char *alias,
		const char *relay_label, char *buf, size_t size)
{
	struct writer w = { buf, size, 0 };
	char text[PLM_WZP_FINGERPRINT_TEXT];

	plm_wzp_fingerprint_text(fp, text);
	put_raw(&w, "{\"fingerprint\":");
	put_string(&w, text);
	put_raw(&w, ",\"alias\":");
	if (alias == NULL)
		put_raw(&w, "null");
	else
		put_string(&w, alias);
	put_raw(&w, ",\"relay_label\":");
	if (relay_label == NULL)
		put_raw(&w, "null");
	else
		put_string(&w, relay_label);
	put(&w, "}", 1);
	return w.len > size ? -ENOSPC : (int)w.len;
}

int
plm_wzp_room_update_head(uint32_t count, size_t participants_len, void *buf, size_t size)
{
	struct writer w = { buf, size, PLM_WZP_LENGTH };
	size_t json_len;

	put_raw(&w, "{\"RoomUpdate\":{\"count\":");
	put_u64(&w, count);
	put_raw(&w, ",\"participants\":[");
	json_len = w.len - PLM_WZP_LENGTH + participants_len + strlen(PLM_WZP_ROOM_UPDATE_TAIL);
	if (participants_len > PLM_WZP_FRAME_MAX || json_len > PLM_WZP_FRAME_MAX)
		return -EMSGSIZE;
	if (w.len > size)
		return -ENOSPC;
	length_write(buf, json_len);
	return (int)w.len;
}
