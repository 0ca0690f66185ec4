/* SPDX-License-Identifier: BSD-3-Clause */
/* Static endpoints: from what plenum.conf says of them to what the relay takes, and what must hold
 * between them, the ports and the limits. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>

#include "config.h"

uint32_t
conf_nb_endpoints(const struct conf *conf)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < conf->nb_statics; i++)
		n += conf->statics[i].entry.count;
	return n;
}

/* "FILE:LINE: static[IDX].NAME: ", what follows is the caller's. */
static void
where(const struct plm_conf *file, unsigned int idx, const char *name, struct plm_text *why)
{
	char key[48];

	snprintf(key, sizeof(key), "static[%u]%s%s", idx, *name != '\0' ? "." : "", name);
	plm_conf_where(file, key, why);
}

static bool
ip_is_none(const struct plm_ip *ip)
{
	static const uint8_t none[16];

	return memcmp(ip->addr, none, sizeof(none)) == 0;
}

static bool
ip_eq(const struct plm_ip *a, const struct plm_ip *b)
{
	return a->is_v6 == b->is_v6 && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static int
too_many(const struct plm_conf *file, unsigned int idx, const char *what, uint32_t most,
		struct plm_text *why)
{
	where(file, idx, "count", why);
	plm_text_add(why, "one endpoint too many, must be at most %s (%u) with those above", what,
			most);
	return -EINVAL;
}

/* The own address that it is bound to; its position among all of them is the relay's index. */
static const struct conf_address *
find_own(const struct conf *conf, const struct conf_static *s, uint16_t *local_idx)
{
	uint16_t idx = 0;

	for (unsigned int p = 0; p < s->port; p++)
		idx += (uint16_t)conf->ports[p].nb_addresses;
	for (unsigned int a = 0; a < conf->ports[s->port].nb_addresses; a++) {
		const struct conf_address *own = &conf->ports[s->port].addresses[a];

		if (ip_is_none(&s->relay) ? own->prefix.ip.is_v6 == s->address.is_v6
					  : ip_eq(&own->prefix.ip, &s->relay)) {
			*local_idx = (uint16_t)(idx + a);
			return own;
		}
	}
	return NULL;
}

/* Addresses from `low` to `high`, both of one family; the order of their bytes is theirs. */
struct span {
	struct plm_ip low;
	struct plm_ip high;
};

/* None of these is a host's. */
static const struct conf_prefix not_unicast[] = {
	{ .ip = { .addr = { 0 } }, .len = 8 },
	{ .ip = { .addr = { 127 } }, .len = 8 },
	{ .ip = { .addr = { 224 } }, .len = 3 },
	{ .ip = { .addr = { 0 }, .is_v6 = true }, .len = 120 },
	{ .ip = { .addr = { 0xff }, .is_v6 = true }, .len = 8 },
};

static const struct conf_prefix link_local = {
	.ip = { .addr = { 0xfe, 0x80 }, .is_v6 = true },
	.len = 10,
};

static struct span
span_of(const struct conf_prefix *prefix)
{
	struct span span = { prefix->ip, prefix->ip };

	for (unsigned int bit = prefix->len; bit < (prefix->ip.is_v6 ? 128u : 32u); bit++) {
		span.low.addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		span.high.addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return span;
}

static int
ip_cmp(const struct plm_ip *a, const struct plm_ip *b)
{
	return memcmp(a->addr, b->addr, a->is_v6 ? 16 : 4);
}

static bool
within(const struct span *span, const struct plm_ip *ip)
{
	return span->low.is_v6 == ip->is_v6 && ip_cmp(&span->low, ip) <= 0 &&
			ip_cmp(ip, &span->high) <= 0;
}

static bool
overlap(const struct span *a, const struct span *b)
{
	return within(a, &b->low) || within(b, &a->low);
}

/* Take what `part` covers at the front of `rest`. True: nothing is left. */
static bool
take_front(struct span *rest, const struct span *part)
{
	if (!within(part, &rest->low))
		return false;
	if (within(part, &rest->high))
		return true;
	rest->low = part->high;
	for (unsigned int i = rest->low.is_v6 ? 16 : 4; i-- > 0;) {
		if (++rest->low.addr[i] != 0)
			break;
	}
	return false;
}

/* Is each of them on the port's link? Two prefixes are apart, or one is part of the other, so as many
 * rounds as there are prefixes do, and one for link-local addresses. */
static bool
on_link(const struct conf_port *port, struct span rest)
{
	const struct span local = span_of(&link_local);

	for (unsigned int n = 0; n <= port->nb_addresses; n++) {
		if (take_front(&rest, &local))
			return true;
		for (unsigned int a = 0; a < port->nb_addresses; a++) {
			const struct span link = span_of(&port->addresses[a].prefix);

			if (take_front(&rest, &link))
				return true;
		}
	}
	return false;
}

/* What is wrong with where the endpoints of an entry are, or NULL. */
static const char *
wrong_place(const struct conf *conf, const struct conf_static *s, const struct conf_address *own,
		const struct span *row)
{
	const struct conf_port *port = &conf->ports[s->port];

	for (size_t i = 0; i < RTE_DIM(not_unicast); i++) {
		const struct span span = span_of(&not_unicast[i]);

		if (overlap(&span, row))
			return "must be a unicast address";
	}
	/* A host part of all ones or none is no host's. */
	for (unsigned int a = 0; a < port->nb_addresses; a++) {
		const struct conf_prefix *prefix = &port->addresses[a].prefix;
		const struct span link = span_of(prefix);

		if (!prefix->ip.is_v6 && prefix->len <= 30 &&
				(within(row, &link.low) || within(row, &link.high)))
			return "is the network's own or broadcast address, must be a host's";
	}
	if (ip_is_none(&own->gateway) && !on_link(port, *row))
		return "is outside of its port: not on the port's link, and there is no gateway";
	return NULL;
}

static int
check_place(const struct conf *conf, unsigned int idx, const struct conf_address *own,
		const struct plm_conf *file, struct plm_text *why)
{
	const struct conf_static *s = &conf->statics[idx];
	struct plm_static own_address = { .count = 1 };
	struct plm_static row = s->entry;
	struct span span = { s->address, s->address };
	struct plm_tuple tuple;
	char name[PLM_NAME_SIZE];
	char low[INET6_ADDRSTRLEN];
	char high[INET6_ADDRSTRLEN];
	const char *wrong;
	int ret;

	ret = plm_static_at(&s->entry, s->entry.count - 1, &tuple, name);
	if (ret < 0) {
		where(file, idx, "count", why);
		plm_text_add(why, "%u endpoints are too many: %s", s->entry.count,
				ret == -ENAMETOOLONG ? "the last one's name is too long"
						: s->entry.each_address
						? "their addresses go beyond the last one there is"
						: "their UDP ports go beyond 65535");
		return -EINVAL;
	}
	memcpy(span.high.addr, tuple.addr, sizeof(span.high.addr));
	wrong = wrong_place(conf, s, own, &span);
	/* Whatever the UDP port: nobody else has an address of ours. */
	row.tuple.port = 0;
	own_address.tuple.local_idx = row.tuple.local_idx;
	for (unsigned int p = 0; wrong == NULL && p < conf->nb_ports; p++) {
		for (unsigned int a = 0; a < conf->ports[p].nb_addresses; a++) {
			const struct plm_ip *ip = &conf->ports[p].addresses[a].prefix.ip;

			own_address.tuple.is_v6 = ip->is_v6;
			memcpy(own_address.tuple.addr, ip->addr, sizeof(ip->addr));
			if (plm_static_same_tuple(&own_address, &row))
				wrong = "is an address of the relay, or a row with one in it";
		}
	}
	if (wrong == NULL)
		return 0;
	where(file, idx, "address", why);
	if (ip_cmp(&span.low, &span.high) != 0)
		plm_text_add(why, "an address of the row from %s to %s: ",
				plm_ip_text(&span.low, low), plm_ip_text(&span.high, high));
	plm_text_add(why, "%s", wrong);
	return -EINVAL;
}

/* Fill in the tuple. At a reload, own addresses are those that the relay was started with. */
static int
bind_entry(struct conf *conf, const struct conf *running, unsigned int idx,
		const struct plm_conf *file, struct plm_text *why)
{
	struct conf_static *s = &conf->statics[idx];
	const struct conf_address *was;
	const struct conf_address *own;
	uint16_t local_idx;
	uint16_t was_idx;

	if (s->port >= conf->nb_ports) {
		where(file, idx, "port", why);
		plm_text_add(why, "there is no port %u, must be 0 to %u", s->port,
				conf->nb_ports - 1);
		return -EINVAL;
	}
	own = find_own(conf, s, &local_idx);
	if (own == NULL || own->prefix.ip.is_v6 != s->address.is_v6) {
		where(file, idx, ip_is_none(&s->relay) ? "address" : "relay", why);
		if (own != NULL)
			plm_text_add(why, "must be of the address's family");
		else if (ip_is_none(&s->relay))
			plm_text_add(why, "is outside of its port: port %u has no IPv%d address",
					s->port, s->address.is_v6 ? 6 : 4);
		else
			plm_text_add(why, "must be an address of port %u", s->port);
		return -EINVAL;
	}
	if (running != NULL) {
		was = s->port < running->nb_ports ? find_own(running, s, &was_idx) : NULL;
		if (was == NULL || was_idx != local_idx ||
				!ip_eq(&was->prefix.ip, &own->prefix.ip)) {
			where(file, idx, "port", why);
			plm_text_add(why,
					"the ports or their addresses have changed since the relay "
					"was started, must be as they were, or restart");
			return -EINVAL;
		}
	}
	memcpy(s->entry.tuple.addr, s->address.addr, sizeof(s->entry.tuple.addr));
	s->entry.tuple.port = rte_cpu_to_be_16(s->udp_port);
	s->entry.tuple.local_idx = local_idx;
	s->entry.tuple.is_v6 = s->address.is_v6;
	return check_place(conf, idx, own, file, why);
}

static int
check_twice(const struct conf *conf, unsigned int idx, const struct plm_conf *file,
		struct plm_text *why)
{
	const struct plm_static *s = &conf->statics[idx].entry;

	for (unsigned int i = 0; i < idx; i++) {
		const struct plm_static *other = &conf->statics[i].entry;

		if (plm_static_same_name(s, other)) {
			where(file, idx, "participant", why);
			plm_text_add(why, "is there twice in room %s, static[%u] has it already",
					s->room, i);
			return -EINVAL;
		}
		if (plm_static_same_tuple(s, other)) {
			where(file, idx, "udp_port", why);
			plm_text_add(why,
					"address and UDP port are there twice, static[%u] has them "
					"already",
					i);
			return -EINVAL;
		}
	}
	return 0;
}

static uint32_t
room_max(const struct conf *conf, const char *room)
{
	/* The last rule is "*". */
	for (unsigned int i = 0; i < conf->nb_rules; i++) {
		if (fnmatch(conf->rules[i].pattern, room, 0) == 0)
			return conf->rules[i].settings.max_members;
	}
	return conf->limits.participants;
}

/* Room for all of them, if nobody else were there. */
static int
check_numbers(const struct conf *conf, const struct plm_conf *file, struct plm_text *why)
{
	uint32_t sessions = 0;
	uint32_t rooms = 0;

	for (unsigned int i = 0; i < conf->nb_statics; i++) {
		const struct plm_static *s = &conf->statics[i].entry;
		uint32_t members = 0;
		bool is_new = true;

		sessions += s->count;
		for (unsigned int k = 0; k <= i; k++) {
			const struct plm_static *other = &conf->statics[k].entry;

			if (strcmp(other->room, s->room) != 0)
				continue;
			members += other->count;
			is_new &= k == i;
		}
		rooms += is_new;
		if (members > room_max(conf, s->room))
			return too_many(file, i, "the room's max", room_max(conf, s->room), why);
		if (sessions > conf->limits.sessions)
			return too_many(file, i, "limits.sessions", conf->limits.sessions, why);
		if (rooms > conf->limits.rooms) {
			where(file, i, "room", why);
			plm_text_add(why, "one room too many, must be at most limits.rooms (%u)",
					conf->limits.rooms);
			return -EINVAL;
		}
	}
	return 0;
}

int
conf_check_statics(struct conf *conf, const struct conf *running, const struct plm_conf *file,
		struct plm_text *why)
{
	int ret = 0;

	if (conf->nb_statics > 0 && !conf->trusted_network) {
		where(file, 0, "", why);
		plm_text_add(why,
				"a static endpoint is known by its address alone, must be where "
				"trusted_network = true");
		return -EINVAL;
	}
	for (unsigned int i = 0; ret == 0 && i < conf->nb_statics; i++) {
		ret = bind_entry(conf, running, i, file, why);
		if (ret == 0)
			ret = check_twice(conf, i, file, why);
	}
	return ret == 0 ? check_numbers(conf, file, why) : ret;
}
