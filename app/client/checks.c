/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that are right one by one, but not together. */
#include <stdlib.h>

#include <rte_common.h>

#include "client.h"

/* What a participant of the WZP protocol can be told. */
static const char *
check_wzp(const struct client_conf *conf)
{
	size_t room_len = conf->room != NULL ? strlen(conf->room) : 0;

	if (conf->ufrag != NULL || conf->pwd != NULL || conf->secret_path != NULL)
		return "--wzp takes no credential: its room is the server name";
	if (conf->room == NULL)
		return "--wzp needs --room";
	if (room_len >= CLIENT_ROOM_SIZE)
		return "--room: a server name has 253 characters at most";
	if (conf->no_consent || conf->controlled || conf->nomination != ICE_AGGRESSIVE)
		return "--role, --nomination and --no-consent are ICE's: not with --wzp";
	if (conf->rtcp || conf->pli_ns != 0)
		return "--rtcp and --pli-every are RTP's: not with --wzp";
	for (unsigned int i = 0; i < conf->nb_gens; i++)
		if (conf->gens[i].size > CLIENT_WZP_SIZE_MAX)
			return "--generate: more than 1384 bytes fit no packet of --wzp";
	if (conf->token != NULL && conf->token != conf->token_file && conf->token_file[0] != '\0')
		return "--token and --token-file exclude each other";
	if (conf->clones > 1 && conf->identity_path != NULL)
		return "--identity is one participant's: not with --clones, who are somebody new each";
	if (conf->clones > 1 && conf->record_path != NULL)
		return "--record writes one participant's media: not with --clones";
	if (conf->clones > 1 && conf->media_path != NULL)
		return "--replay is one participant's media: not with --clones";
	if (conf->media_path != NULL &&
			(conf->nb_gens != 0 || conf->nb_producers != 0 ||
					conf->replay_path != NULL))
		return "--replay sends what was recorded, and nothing else can have its numbers";
	if (conf->nb_producers > 1)
		return "--rtp: one port with --wzp, where a participant sends one stream";
	return NULL;
}

/* Who lets us in: a credential, or the room's name in QUIC. */
static const char *
check_admission(const struct client_conf *conf)
{
	bool given = conf->ufrag != NULL || conf->pwd != NULL;
	bool minted = conf->secret_path != NULL;

	if (conf->wzp)
		return check_wzp(conf);
	if (given == minted)
		return "give either --ufrag and --pwd, or --secret, --room and --participant, "
		       "or --wzp and --room";
	if (given && (conf->ufrag == NULL || conf->pwd == NULL))
		return "--ufrag and --pwd belong together";
	if (given && conf->clones > 1)
		return "--clones needs --secret: each clone is a participant of its own";
	if (minted && (conf->room == NULL || conf->participant == NULL))
		return "--secret needs --room and --participant";
	if (conf->room != NULL && !plm_name_valid(conf->room, strlen(conf->room)))
		return "--room: 1 to 63 letters, digits, '.', '_' and '-'";
	return NULL;
}

const char *
options_problem(const struct client_conf *conf)
{
	const char *problem;

	if (conf->relay.len == 0)
		return "--relay is missing";
	if (conf->bind.len != 0 && conf->bind.sa.ss_family != conf->relay.sa.ss_family)
		return "--bind and --relay are of different address families";
	problem = check_admission(conf);
	if (problem != NULL)
		return problem;
	if (conf->verb != VERB_SUBSCRIBE && conf->nb_gens == 0 && conf->nb_producers == 0 &&
			conf->replay_path == NULL && conf->media_path == NULL)
		return conf->verb == VERB_PUBLISH
				? "nothing to publish: give --rtp, --generate or --pcap"
				: "nothing to publish: give --rtp or --generate";
	if (conf->replay_path != NULL && conf->clones > 1)
		return "--pcap is one participant's media: not with --clones";
	if (conf->replay_path == NULL && (conf->replay_port != 0 || conf->replay_loop))
		return "--pcap-port and --loop say how to send a --pcap";
	if (conf->nb_producers != 0 && conf->clones > 1)
		return "--rtp feeds one participant: not with --clones";
	if (conf->nb_sinks != 0 && conf->clones > 1)
		return "--rtp-out takes one participant's media: not with --clones";
	if (conf->clones > 1 && conf->bind.len != 0 &&
			((const struct sockaddr_in *)&conf->bind.sa)->sin_port != 0)
		return "--bind with a port is for one participant: not with --clones";
	for (unsigned int i = 0; i < conf->nb_gens; i++)
		for (unsigned int j = 0; j < i; j++) {
			const struct gen_conf *a = &conf->gens[i];
			const struct gen_conf *b = &conf->gens[j];

			/* Clone n sends as ssrc + n. */
			if (a->has_ssrc && b->has_ssrc &&
					(uint32_t)labs((long)a->ssrc - (long)b->ssrc) <
							conf->clones)
				return "--generate: the SSRCs of two streams overlap";
		}
	return NULL;
}
