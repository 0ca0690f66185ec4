/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals from JSON. The library parses, the schema decides: what the original programs take is taken
 * (§2.2), in whatever shape their parser allows.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>

#include <rte_common.h>

#include "wzp_priv.h"

static int signal_read(const json_t *json, struct plm_wzp_signal *signal);
static int fields_read(const struct wzp_schema *schema, const json_t *json, void *base);

void
plm_wzp_init(const struct plm_rand *rand)
{
	size_t seed;

	plm_rand_fill(rand, &seed, sizeof(seed));
	json_object_seed(seed | 1); /* 0: from the operating system */
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* The library recurses, 2048 deep, and makes an object of every value: look before, with what is in
 * strings left out. */
static int
shape_check(const char *json, size_t len, size_t max_values)
{
	unsigned int depth = 0;
	bool in_string = false;
	size_t nb = 1;

	for (size_t i = 0; i < len; i++) {
		char c = json[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			nb++;
			if (++depth > PLM_WZP_DEPTH_MAX)
				return -EBADMSG;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		} else if (c == ',') {
			nb++;
		}
	}
	return nb > max_values ? -E2BIG : 0;
}

/* What is read is to be given back by json_decref(). */
static int
json_read(const void *buf, size_t len, size_t max_len, size_t max_values, json_t **json)
{
	json_error_t error;
	int ret;

	if (len > max_len)
		return -E2BIG;
	ret = shape_check(buf, len, max_values);
	if (ret < 0)
		return ret;
	*json = json_loadb(buf, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
			&error);
	if (*json != NULL)
		return 0;
	return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
}

/* A name out of a list: as a string, or as an object whose only value is null. */
static int
enum_read(const json_t *json, const char *const *names, unsigned int nb, unsigned int *out)
{
	const char *name = NULL;
	size_t len = 0;
	int found;

	if (json_is_string(json)) {
		name = json_string_value(json);
		len = json_string_length(json);
	} else if (json_object_size(json) == 1) {
		void *it = json_object_iter((json_t *)(uintptr_t)json);

		if (json_is_null(json_object_iter_value(it))) {
			name = json_object_iter_key(it);
			len = strlen(name); /* the library takes no NUL in keys */
		}
	}
	if (name == NULL)
		return -EBADMSG;
	found = wzp_name_find(names, nb, name, len);
	if (found < 0)
		return -EBADMSG;
	*out = (unsigned int)found;
	return 0;
}

static int
integer_read(const json_t *json, json_int_t max, json_int_t *out)
{
	if (!json_is_integer(json) || json_integer_value(json) < 0 ||
			json_integer_value(json) > max)
		return -EBADMSG;
	*out = json_integer_value(json);
	return 0;
}

/* Integers of a byte each. What does not fit is looked at, too. */
static int
bytes_read(const json_t *json, uint8_t *out, size_t size, size_t *len)
{
	json_int_t v;

	if (!json_is_array(json))
		return -EBADMSG;
	*len = json_array_size(json);
	for (size_t i = 0; i < *len; i++) {
		if (integer_read(json_array_get(json, i), UINT8_MAX, &v) < 0)
			return -EBADMSG;
		if (i < size)
			out[i] = (uint8_t)v;
	}
	return 0;
}

/* --- texts --------------------------------------------------------------------------------- */

bool
wzp_utf8_valid(const char *s)
{
	json_t *json = json_string(s);

	json_decref(json);
	return json != NULL;
}

/* Where to cut valid UTF-8 so that at most `max` bytes are left and no character is torn. */
static size_t
utf8_cut(const char *s, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((uint8_t)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}

static int
text_read(const json_t *json, struct plm_wzp_text *text)
{
	const char *s = json_string_value(json);
	size_t len = s == NULL ? 0 : strlen(s); /* up to a NUL */

	if (s == NULL)
		return -EBADMSG;
	if (text != NULL) {
		len = utf8_cut(s, len, PLM_WZP_TEXT_MAX);
		memcpy(text->text, s, len);
		text->text[len] = '\0';
		text->is_set = true;
	}
	return 0;
}

/* What is compared or handed on as it is: neither cut nor with a NUL in it. */
static int
word_read(const json_t *json, char *out, size_t max)
{
	const char *s = json_string_value(json);
	size_t len = json_string_length(json);

	if (s == NULL || memchr(s, '\0', len) != NULL)
		return -EBADMSG;
	if (out == NULL)
		return 0;
	if (len > max)
		return -E2BIG;
	memcpy(out, s, len + 1);
	return 0;
}

static int
strings_read(const json_t *json)
{
	if (!json_is_array(json))
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(json); i++) {
		if (!json_is_string(json_array_get(json, i)))
			return -EBADMSG;
	}
	return 0;
}

/* --- fields -------------------------------------------------------------------------------- */

static int
key_read(const json_t *json, uint8_t *out)
{
	uint8_t key[PLM_WZP_KEY];
	size_t len;

	if (bytes_read(json, key, sizeof(key), &len) < 0 || len != sizeof(key))
		return -EBADMSG;
	if (out != NULL)
		memcpy(out, key, sizeof(key));
	return 0;
}

static int
signature_read(const json_t *json, struct plm_wzp_signature *out)
{
	struct plm_wzp_signature signature = { 0 };
	size_t len;

	if (bytes_read(json, signature.bytes, sizeof(signature.bytes), &len) < 0)
		return -EBADMSG;
	signature.len = (uint16_t)RTE_MIN(len, (size_t)UINT16_MAX);
	if (out != NULL)
		*out = signature;
	return 0;
}

static int
profiles_read(const json_t *json, struct plm_wzp_profile_list *out)
{
	struct plm_wzp_profile profile;
	int ret;

	if (!json_is_array(json))
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(json); i++) {
		ret = fields_read(&wzp_profile, json_array_get(json, i), &profile);
		if (ret < 0)
			return ret;
		if (out == NULL)
			continue;
		if (i == PLM_WZP_PROFILES_MAX)
			return -E2BIG;
		out->list[out->nb++] = profile;
	}
	return 0;
}

static int
participants_read(const json_t *json, uint32_t *nb)
{
	if (!json_is_array(json))
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(json); i++) {
		int ret = fields_read(&wzp_participant, json_array_get(json, i), NULL);

		if (ret < 0)
			return ret;
	}
	if (nb != NULL)
		*nb = (uint32_t)json_array_size(json);
	return 0;
}

/* A number of up to `size` bytes. */
static int
number_read(const json_t *json, json_int_t max, void *out, size_t size)
{
	json_int_t v;
	uint64_t u64;

	if (integer_read(json, max, &v) < 0)
		return -EBADMSG;
	u64 = (uint64_t)v;
	if (out != NULL && size == sizeof(uint8_t))
		*(uint8_t *)out = (uint8_t)u64;
	else if (out != NULL && size == sizeof(uint32_t))
		*(uint32_t *)out = (uint32_t)u64;
	else if (out != NULL)
		*(uint64_t *)out = u64;
	return 0;
}

static int
f32_read(const json_t *json, float *out)
{
	float v = (float)json_number_value(json);

	if (!json_is_number(json) || !isfinite(v))
		return -EBADMSG;
	if (out != NULL)
		*out = v;
	return 0;
}

/* `out` is NULL for what is not kept. */
static int
field_read(const struct wzp_field *field, const json_t *json, void *out)
{
	struct plm_wzp_text *text = out;
	unsigned int idx;
	int ret;

	switch ((enum wzp_kind)field->kind) {
	case WZP_KEY:
		return key_read(json, out);
	case WZP_SIGNATURE:
		return signature_read(json, out);
	case WZP_TEXT:
		return text_read(json, out);
	case WZP_WORD:
		ret = word_read(json, text == NULL ? NULL : text->text, PLM_WZP_TEXT_MAX);
		if (text != NULL)
			text->is_set = ret == 0;
		return ret;
	case WZP_TOKEN:
		return word_read(json, out, PLM_WZP_TOKEN_MAX);
	case WZP_STRINGS:
		return strings_read(json);
	case WZP_BOOL:
		return json_is_boolean(json) ? 0 : -EBADMSG;
	case WZP_U8:
		return number_read(json, UINT8_MAX, out, sizeof(uint8_t));
	case WZP_U32:
		return number_read(json, UINT32_MAX, out, sizeof(uint32_t));
	case WZP_U64:
		return number_read(json, INT64_MAX, out, sizeof(uint64_t));
	case WZP_F32:
		return f32_read(json, out);
	case WZP_CODEC:
		ret = enum_read(json, wzp_codec_names, PLM_WZP_CODECS, &idx);
		if (ret == 0 && out != NULL)
			*(uint8_t *)out = (uint8_t)idx;
		return ret;
	case WZP_REASON:
		ret = enum_read(json, wzp_reason_names, PLM_WZP_REASONS, &idx);
		if (ret == 0 && out != NULL)
			*(enum plm_wzp_reason *)out = (enum plm_wzp_reason)idx;
		return ret;
	case WZP_MODE:
		return enum_read(json, wzp_modes, RTE_DIM(wzp_modes), &idx);
	case WZP_PROFILE:
		return fields_read(&wzp_profile, json, out);
	case WZP_PROFILES:
		return profiles_read(json, out);
	case WZP_REPORT:
		return fields_read(&wzp_report, json, NULL);
	case WZP_PARTICIPANTS:
		return participants_read(json, out);
	case WZP_SIGNAL:
		return signal_read(json, NULL);
	}
	return -EBADMSG;
}

/* A field of a struct, which is an object or an array of its fields in order. NULL: not there. */
static const json_t *
field_get(const struct wzp_schema *schema, const json_t *json, unsigned int i)
{
	return json_is_array(json) ? json_array_get(json, i)
				   : json_object_get(json, schema->fields[i].name);
}

/* `base` is NULL, or zeroed. */
static int
fields_read(const struct wzp_schema *schema, const json_t *json, void *base)
{
	if (json_is_array(json)) {
		if (json_array_size(json) > schema->nb_fields)
			return -EBADMSG;
	} else if (!json_is_object(json)) {
		return -EBADMSG;
	}
	for (unsigned int i = 0; i < schema->nb_fields; i++) {
		const struct wzp_field *field = &schema->fields[i];
		bool keep = base != NULL && field->off != WZP_NOT_KEPT;
		const json_t *value = field_get(schema, json, i);
		int ret;

		if (value == NULL) {
			uint8_t can = json_is_array(json) ? WZP_DEFAULT : WZP_OPTION | WZP_DEFAULT;

			if ((field->flags & can) == 0)
				return -EBADMSG;
			continue;
		}
		if (json_is_null(value) && (field->flags & WZP_OPTION) != 0)
			continue;
		ret = field_read(field, value, keep ? (uint8_t *)base + field->off : NULL);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* `signal` is NULL for one within another, or zeroed. */
static int
signal_read(const json_t *json, struct plm_wzp_signal *signal)
{
	const json_t *body = NULL;
	const char *name;
	int type;

	if (json_is_string(json)) {
		name = json_string_value(json);
		type = wzp_type_find(name, json_string_length(json));
	} else if (json_object_size(json) == 1) {
		void *it = json_object_iter((json_t *)(uintptr_t)json);

		name = json_object_iter_key(it);
		body = json_object_iter_value(it);
		type = wzp_type_find(name, strlen(name));
	} else {
		return -EBADMSG;
	}
	if (type < 0)
		return -ENOTSUP;
	if (signal != NULL)
		signal->type = (enum plm_wzp_type)type;
	if (wzp_signals[type].nb_fields == 0)
		return body == NULL || json_is_null(body) ? 0 : -EBADMSG;
	return body == NULL ? -EBADMSG : fields_read(&wzp_signals[type], body, signal);
}

int
plm_wzp_decode(const void *json, size_t len, struct plm_wzp_signal *signal)
{
	struct plm_wzp_signal read = { 0 };
	json_t *root;
	int ret;

	ret = json_read(json, len, PLM_WZP_SIGNAL_MAX, PLM_WZP_VALUES_MAX, &root);
	if (ret < 0)
		return ret;
	ret = signal_read(root, &read);
	if (ret == 0)
		*signal = read;
	json_decref(root);
	return ret;
}

int
plm_wzp_room_update_read(const void *json, size_t len, plm_wzp_participant_cb cb, void *ctx,
		uint32_t *count)
{
	const struct wzp_schema *schema = &wzp_signals[PLM_WZP_ROOM_UPDATE];
	struct plm_wzp_signal read = { 0 };
	const json_t *list, *body;
	json_t *root;
	int ret;

	ret = json_read(json, len, PLM_WZP_FRAME_MAX, PLM_WZP_FRAME_MAX, &root);
	if (ret < 0)
		return ret;
	ret = signal_read(root, &read);
	if (ret == 0 && read.type != PLM_WZP_ROOM_UPDATE)
		ret = -ENOMSG;
	if (ret < 0)
		goto out;
	body = json_object_iter_value(json_object_iter(root));
	list = field_get(schema, body, 1);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const struct plm_wzp_participant participant = {
			json_string_value(field_get(&wzp_participant, one, 0)),
			json_string_value(field_get(&wzp_participant, one, 1)),
			json_string_value(field_get(&wzp_participant, one, 2)),
		};

		cb(ctx, &participant);
	}
	*count = read.room_update.count;
out:
	json_decref(root);
	return ret;
}
