/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals as the protocol lists them (§2.3, §2.4): names, fields in their order, kinds. */
#include <rte_common.h>

#include "wzp_priv.h"

#define KEPT(member) offsetof(struct plm_wzp_signal, member)

/* A field that is checked and not kept. */
#define CHECKED(field, kind)                                                                       \
	{                                                                                          \
#field, WZP_NOT_KEPT, kind, 0                                                      \
	}
#define OPTIONAL(field, kind, flags)                                                               \
	{                                                                                          \
#field, WZP_NOT_KEPT, kind, WZP_OPTION | (flags)                                   \
	}
#define DEFAULTED(field, kind)                                                                     \
	{                                                                                          \
#field, WZP_NOT_KEPT, kind, WZP_DEFAULT                                            \
	}

#define SCHEMA(...)                                                                                \
	{                                                                                          \
		.nb_fields = RTE_DIM(((const struct wzp_field[]){ __VA_ARGS__ })), .fields = {     \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

const struct wzp_schema wzp_profile = SCHEMA(
		{ "codec", offsetof(struct plm_wzp_profile, codec), WZP_CODEC, 0 },
		{ "fec_ratio", offsetof(struct plm_wzp_profile, fec_ratio), WZP_F32, 0 },
		{ "frame_duration_ms", offsetof(struct plm_wzp_profile, frame_duration_ms), WZP_U8,
				0 },
		{ "frames_per_block", offsetof(struct plm_wzp_profile, frames_per_block), WZP_U8,
				0 });

const struct wzp_schema wzp_report = SCHEMA(CHECKED(loss_pct, WZP_U8), CHECKED(rtt_4ms, WZP_U8),
		CHECKED(jitter_ms, WZP_U8), CHECKED(bitrate_cap_kbps, WZP_U8));

const struct wzp_schema wzp_participant = SCHEMA(CHECKED(fingerprint, WZP_TEXT),
		OPTIONAL(alias, WZP_TEXT, 0), OPTIONAL(relay_label, WZP_TEXT, WZP_DEFAULT));

const struct wzp_schema wzp_signals[PLM_WZP_TYPES] = {
	[PLM_WZP_CALL_OFFER] = SCHEMA({ "identity_pub", KEPT(call_offer.identity_pub), WZP_KEY, 0 },
			{ "ephemeral_pub", KEPT(call_offer.ephemeral_pub), WZP_KEY, 0 },
			{ "signature", KEPT(call_offer.signature), WZP_SIGNATURE, 0 },
			{ "supported_profiles", KEPT(call_offer.profiles), WZP_PROFILES, 0 },
			{ "alias", KEPT(call_offer.alias), WZP_TEXT, WZP_OPTION | WZP_DEFAULT }),
	[PLM_WZP_CALL_ANSWER] = SCHEMA(
			{ "identity_pub", KEPT(call_answer.identity_pub), WZP_KEY, 0 },
			{ "ephemeral_pub", KEPT(call_answer.ephemeral_pub), WZP_KEY, 0 },
			{ "signature", KEPT(call_answer.signature), WZP_SIGNATURE, 0 },
			{ "chosen_profile", KEPT(call_answer.profile), WZP_PROFILE, 0 }),
	[PLM_WZP_ICE_CANDIDATE] = SCHEMA(CHECKED(candidate, WZP_TEXT)),
	[PLM_WZP_REKEY] = SCHEMA(CHECKED(new_ephemeral_pub, WZP_KEY),
			CHECKED(signature, WZP_SIGNATURE)),
	[PLM_WZP_QUALITY_UPDATE] = SCHEMA(CHECKED(report, WZP_REPORT),
			CHECKED(recommended_profile, WZP_PROFILE)),
	[PLM_WZP_LOSS_RECOVERY_UPDATE] = SCHEMA(DEFAULTED(dred_reconstructions, WZP_U64),
			DEFAULTED(classical_plc_invocations, WZP_U64),
			DEFAULTED(frames_decoded, WZP_U64)),
	[PLM_WZP_PING] = SCHEMA({ "timestamp_ms", KEPT(ping.timestamp_ms), WZP_U64, 0 }),
	[PLM_WZP_PONG] = SCHEMA({ "timestamp_ms", KEPT(pong.timestamp_ms), WZP_U64, 0 }),
	[PLM_WZP_HANGUP] = SCHEMA({ "reason", KEPT(hangup.reason), WZP_REASON, 0 },
			{ "call_id", KEPT(hangup.call_id), WZP_WORD,
					WZP_OPTION | WZP_DEFAULT | WZP_OMIT }),
	[PLM_WZP_AUTH_TOKEN] = SCHEMA({ "token", KEPT(auth_token.token), WZP_TOKEN, 0 }),
	[PLM_WZP_TRANSFER] = SCHEMA(CHECKED(target_fingerprint, WZP_TEXT),
			OPTIONAL(relay_addr, WZP_TEXT, 0)),
	[PLM_WZP_PRESENCE_UPDATE] =
			SCHEMA(CHECKED(fingerprints, WZP_STRINGS), CHECKED(relay_addr, WZP_TEXT)),
	[PLM_WZP_ROUTE_QUERY] = SCHEMA(CHECKED(fingerprint, WZP_TEXT), CHECKED(ttl, WZP_U8)),
	[PLM_WZP_ROUTE_RESPONSE] = SCHEMA(CHECKED(fingerprint, WZP_TEXT), CHECKED(found, WZP_BOOL),
			CHECKED(relay_chain, WZP_STRINGS)),
	[PLM_WZP_SESSION_FORWARD] = SCHEMA(CHECKED(session_id, WZP_TEXT),
			CHECKED(target_fingerprint, WZP_TEXT), CHECKED(source_relay, WZP_TEXT)),
	[PLM_WZP_SESSION_FORWARD_ACK] =
			SCHEMA(CHECKED(session_id, WZP_TEXT), CHECKED(room_name, WZP_TEXT)),
	[PLM_WZP_ROOM_UPDATE] = SCHEMA({ "count", KEPT(room_update.count), WZP_U32, 0 },
			{ "participants", KEPT(room_update.nb_participants), WZP_PARTICIPANTS, 0 }),
	[PLM_WZP_FEDERATION_HELLO] = SCHEMA(CHECKED(tls_fingerprint, WZP_TEXT)),
	[PLM_WZP_GLOBAL_ROOM_ACTIVE] =
			SCHEMA(CHECKED(room, WZP_TEXT), DEFAULTED(participants, WZP_PARTICIPANTS)),
	[PLM_WZP_GLOBAL_ROOM_INACTIVE] = SCHEMA(CHECKED(room, WZP_TEXT)),
	[PLM_WZP_REGISTER_PRESENCE] = SCHEMA(CHECKED(identity_pub, WZP_KEY),
			CHECKED(signature, WZP_SIGNATURE), OPTIONAL(alias, WZP_TEXT, 0)),
	[PLM_WZP_REGISTER_PRESENCE_ACK] =
			SCHEMA(CHECKED(success, WZP_BOOL), OPTIONAL(error, WZP_TEXT, WZP_OMIT),
					OPTIONAL(relay_build, WZP_TEXT, WZP_DEFAULT | WZP_OMIT)),
	[PLM_WZP_DIRECT_CALL_OFFER] = SCHEMA(CHECKED(caller_fingerprint, WZP_TEXT),
			OPTIONAL(caller_alias, WZP_TEXT, 0), CHECKED(target_fingerprint, WZP_TEXT),
			CHECKED(call_id, WZP_TEXT), CHECKED(identity_pub, WZP_KEY),
			CHECKED(ephemeral_pub, WZP_KEY), CHECKED(signature, WZP_SIGNATURE),
			CHECKED(supported_profiles, WZP_PROFILES),
			OPTIONAL(caller_reflexive_addr, WZP_TEXT, WZP_DEFAULT | WZP_OMIT),
			DEFAULTED(caller_local_addrs, WZP_STRINGS),
			OPTIONAL(caller_build_version, WZP_TEXT, WZP_DEFAULT | WZP_OMIT)),
	[PLM_WZP_DIRECT_CALL_ANSWER] = SCHEMA(CHECKED(call_id, WZP_TEXT),
			CHECKED(accept_mode, WZP_MODE), OPTIONAL(identity_pub, WZP_KEY, WZP_OMIT),
			OPTIONAL(ephemeral_pub, WZP_KEY, WZP_OMIT),
			OPTIONAL(signature, WZP_SIGNATURE, WZP_OMIT),
			OPTIONAL(chosen_profile, WZP_PROFILE, WZP_OMIT),
			OPTIONAL(callee_reflexive_addr, WZP_TEXT, WZP_DEFAULT | WZP_OMIT),
			DEFAULTED(callee_local_addrs, WZP_STRINGS),
			OPTIONAL(callee_build_version, WZP_TEXT, WZP_DEFAULT | WZP_OMIT)),
	[PLM_WZP_CALL_SETUP] = SCHEMA(CHECKED(call_id, WZP_TEXT), CHECKED(room, WZP_TEXT),
			CHECKED(relay_addr, WZP_TEXT),
			OPTIONAL(peer_direct_addr, WZP_TEXT, WZP_DEFAULT | WZP_OMIT),
			DEFAULTED(peer_local_addrs, WZP_STRINGS)),
	[PLM_WZP_CALL_RINGING] = SCHEMA(CHECKED(call_id, WZP_TEXT)),
	[PLM_WZP_REFLECT_RESPONSE] = SCHEMA(CHECKED(observed_addr, WZP_TEXT)),
	[PLM_WZP_MEDIA_PATH_REPORT] = SCHEMA(CHECKED(call_id, WZP_TEXT),
			CHECKED(direct_ok, WZP_BOOL), DEFAULTED(race_winner, WZP_TEXT)),
	[PLM_WZP_FEDERATED_SIGNAL_FORWARD] =
			SCHEMA(CHECKED(inner, WZP_SIGNAL), CHECKED(origin_relay_fp, WZP_TEXT)),
	[PLM_WZP_QUALITY_DIRECTIVE] = SCHEMA(
			{ "recommended_profile", KEPT(quality_directive.profile), WZP_PROFILE, 0 },
			{ "reason", KEPT(quality_directive.reason), WZP_TEXT,
					WZP_OPTION | WZP_DEFAULT | WZP_OMIT }),
};

const struct plm_wzp_profile plm_wzp_profiles[PLM_WZP_PRESETS] = {
	[PLM_WZP_STUDIO_64K] = { 8, 20, 5, 0.1f },
	[PLM_WZP_STUDIO_48K] = { 7, 20, 5, 0.1f },
	[PLM_WZP_STUDIO_32K] = { 6, 20, 5, 0.1f },
	[PLM_WZP_GOOD] = { 0, 20, 5, 0.2f },
	[PLM_WZP_DEGRADED] = { 2, 40, 10, 0.5f },
	[PLM_WZP_CATASTROPHIC] = { 4, 40, 8, 1.0f },
};

const char *const wzp_codec_names[PLM_WZP_CODECS] = { "Opus24k", "Opus16k", "Opus6k", "Codec2_3200",
	"Codec2_1200", "ComfortNoise", "Opus32k", "Opus48k", "Opus64k" };
const char *const wzp_reason_names[PLM_WZP_REASONS] = { "Normal", "Busy", "Declined", "Timeout",
	"Error" };
const char *const wzp_modes[3] = { "Reject", "AcceptTrusted", "AcceptGeneric" };

static const char *const type_names[PLM_WZP_TYPES] = {
#define X(name, text) [PLM_WZP_##name] = text,
	PLM_WZP_TYPE_LIST(X)
#undef X
};

const char *
plm_wzp_type_name(enum plm_wzp_type type)
{
	return type_names[type];
}

const char *
plm_wzp_reason_name(enum plm_wzp_reason reason)
{
	return wzp_reason_names[reason];
}

const char *
plm_wzp_codec_name(uint8_t codec)
{
	return codec < PLM_WZP_CODECS ? wzp_codec_names[codec] : NULL;
}

int
wzp_name_find(const char *const *names, unsigned int nb, const char *name, size_t len)
{
	for (unsigned int i = 0; i < nb; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return (int)i;
	}
	return -1;
}

int
wzp_type_find(const char *name, size_t len)
{
	return wzp_name_find(type_names, PLM_WZP_TYPES, name, len);
}
