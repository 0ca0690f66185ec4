#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `plenum credential` against the two lines of shell in README.md, and what it refuses.
set -u
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fixture.sh"
SECRET=$DIR/secret

expiry=$(($(date +%s) + 60))
for names in 'r p' 'a.room-1 Some_body' 'room participant'; do
	# shellcheck disable=SC2086 # two words are meant
	set -- $names
	for role in p s b; do
		ufrag=$(printf '1:%s:%s:%s:%s' $expiry "$1" "$2" $role | base64 -w0 | tr -d =)
		pwd=$(printf %s "$ufrag" | openssl dgst -sha256 -hmac "$(cat "$SECRET")" -binary |
			base64 -w0 | tr -d =)
		said=$("$PLENUM" credential --secret "$SECRET" --room "$1" --participant "$2" \
			--role $role --expiry $expiry) || die "exit $?"
		[ "$said" = "ufrag=$ufrag
pwd=$pwd" ] || die "$names $role: $said, openssl says $ufrag $pwd"
		expect 0 "{\"ufrag\":\"$ufrag\",\"pwd\":\"$pwd\",\"expiry\":$expiry}" \
			"$PLENUM" credential --json --secret "$SECRET" --room "$1" --participant "$2" \
			--role $role --expiry $expiry
	done
done

# --ttl counts from now on.
now=$(date +%s)
ufrag=$("$PLENUM" credential --secret "$SECRET" --room r --participant p --role b --ttl 100 |
	sed -n 's/^ufrag=//p')
got=$(printf '%s===' "$ufrag" | base64 -d 2>/dev/null | cut -d: -f2)
[ "$got" -ge $((now + 100)) ] || die "--ttl 100 gave $got at $now"
[ "$got" -le $((now + 110)) ] || die "--ttl 100 gave $got at $now"

mint() { "$PLENUM" credential "$@"; }
expect 2 'usage: ' mint
expect 2 'usage: ' mint --secret "$SECRET" --room r --participant p
expect 2 'usage: ' mint --secret "$SECRET" --room r --participant p --role b more
expect 2 'must be p, s or b' mint --secret "$SECRET" --room r --participant p --role x
expect 2 'must be 1 to 63 characters' mint --secret "$SECRET" --room 'r:s' --participant p --role b
expect 2 'must be a number' mint --secret "$SECRET" --room r --participant p --role b --ttl -5
long=$(printf '%060d' 0)
expect 1 'too long together' mint --secret "$SECRET" --room "$long" --participant "$long" --role b
expect 1 'nowhere' mint --secret "$DIR/nowhere" --room r --participant p --role b
chmod 640 "$SECRET"
expect 1 'secret' mint --secret "$SECRET" --room r --participant p --role b
! grep -q sixteen "$DIR/said" || die "the secret was printed"
