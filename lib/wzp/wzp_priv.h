/* SPDX-License-Identifier: BSD-3-Clause */
/* What signals look like, as a table that reads and writes them. */
#ifndef PLM_WZP_PRIV_H
#define PLM_WZP_PRIV_H

#include "plm_wzp.h"

enum wzp_kind {
	WZP_KEY,       /* 32 bytes */
	WZP_SIGNATURE, /* bytes, any number: struct plm_wzp_signature */
	WZP_TEXT,      /* struct plm_wzp_text, cut */
	WZP_WORD,      /* struct plm_wzp_text, never cut */
	WZP_TOKEN,     /* char[PLM_WZP_TOKEN_MAX + 1], never cut */
	WZP_STRINGS,   /* any number; not kept */
	WZP_BOOL,      /* not kept */
	WZP_U8,
	WZP_U32,
	WZP_U64,
	WZP_F32,
	WZP_CODEC,        /* uint8_t */
	WZP_REASON,       /* enum plm_wzp_reason */
	WZP_MODE,         /* not kept */
	WZP_PROFILE,      /* struct plm_wzp_profile */
	WZP_PROFILES,     /* struct plm_wzp_profile_list */
	WZP_REPORT,       /* not kept */
	WZP_PARTICIPANTS, /* uint32_t: how many */
	WZP_SIGNAL,       /* not kept */
};

/* How a field may be missing. An array in order lacks a last one only when it has a default. */
enum {
	WZP_OPTION = 1,  /* null, or not there */
	WZP_DEFAULT = 2, /* not there */
	WZP_OMIT = 4,    /* written only when set; otherwise as null */
};

#define WZP_NOT_KEPT UINT16_MAX

struct wzp_field {
	const char *name;
	uint16_t off; /* in the struct that it belongs to, or WZP_NOT_KEPT */
	uint8_t kind;
	uint8_t flags;
};

#define WZP_FIELDS_MAX 11

/* nb_fields 0: a unit variant, a name alone. */
struct wzp_schema {
	uint8_t nb_fields;
	struct wzp_field fields[WZP_FIELDS_MAX];
};

extern const struct wzp_schema wzp_signals[PLM_WZP_TYPES];
extern const struct wzp_schema wzp_profile;
extern const struct wzp_schema wzp_report;
extern const struct wzp_schema wzp_participant;

extern const char *const wzp_modes[3];

/* Index of `name` of `len` bytes, or -1. */
int wzp_name_find(const char *const *names, unsigned int nb, const char *name, size_t len);
int wzp_type_find(const char *name, size_t len);

/* Whether a string is UTF-8 as the JSON library takes it. */
bool wzp_utf8_valid(const char *s);

extern const char *const wzp_codec_names[PLM_WZP_CODECS];
extern const char *const wzp_reason_names[PLM_WZP_REASONS];

#endif
