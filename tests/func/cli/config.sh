#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What --check says of good and bad files: exit code, file, line, key, what is allowed; and that
# nothing of EAL has begun by then.
set -u
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fixture.sh"
CONF=$DIR/plenum.conf

write_conf </dev/null
expect 0 'rx pool: ' "$PLENUM" --check -f "$CONF"
expect 0 'memory: ' "$PLENUM" --check -f "$CONF"
expect 0 'net_null0' "$PLENUM" --check -f "$CONF"

# bad SETTING WORDS: refused on line 8, with these words.
bad() {
	printf '%s\n' "$1" | write_conf
	for check in --check ''; do
		# shellcheck disable=SC2086 # none is none
		expect 1 "plenum.conf:8: $2" "$PLENUM" $check -f "$CONF"
		! grep -q EAL "$DIR/said" || die "$1: EAL had begun"
		[ "$(wc -l <"$DIR/said")" -eq 1 ] || die "$1: more than a line: $(cat "$DIR/said")"
	done
}
bad 'udp_port = 0;' 'udp_port: 0 is out of range, must be 1 to 65535'
bad 'udp_port = "x";' 'udp_port: "x" is not allowed, must be 1 to 65535'
bad 'no_such_key = 1;' 'no_such_key: unknown setting'
bad 'queues = 2;' 'queues: 2 is out of range, must be 1 to 1'
bad 'workers = [ 1000 ];' 'workers[0]: CPU 1000 is not there'
bad 'slow_cpu = 1000;' 'slow_cpu: CPU 1000 is not there'
bad 'chain = "often";' 'chain: "often" is not allowed, must be one of "auto", "on", "off"'
bad 'rooms = ( { dscp = 64; } );' 'rooms[0].dscp: 64 is out of range, must be 0 to 63, or "copy"'
bad 'rooms = ( { max = 1001; } );' 'rooms[0].max: 1001 is out of range, must be 1 to limits.part'
bad 'tuning = { turn_copies = 1; };' 'tuning.turn_copies: 1 is out of range'
bad 'max_session = 5000000000;' '5000000000: does not fit into 32 bits'

# QUIC: values, what belongs together, and what the files hold.
quic() { bad "quic = { $1 };" "quic.$2"; }
quic 'connections = 1000001;' 'connections: 1000001 is out of range, must be 0 to 1000000'
quic 'connection = 1;' 'connection: unknown setting'
quic 'handshakes = 0;' 'handshakes: 0 is out of range, must be 1 to 1000000'
quic 'retry_above = 0;' 'retry_above: 0 is out of range, must be 1 to 1000000'
quic 'retry_always = 1;' 'retry_always: must be true or false'
quic 'idle_timeout = 601;' 'idle_timeout: 601 is out of range, must be 1 to 600'
quic 'identity = 7;' 'identity: must be a string'
bad 'wzp = { open_rooms = "maybe"; };' 'wzp.open_rooms: must be true or false'
bad 'wzp = { rooms = true; };' 'wzp.rooms: unknown setting'
wzp() { bad "wzp = { $1 };" "wzp.$2"; }
wzp 'auth_url = "auth.test/validate";' 'auth_url: "auth.test/validate" cannot be asked (Bad scheme), must be like'
wzp 'auth_url = "ftp://auth.test/";' 'auth_url: "ftp://auth.test/" cannot be asked (Neither http nor https)'
wzp 'auth_url = "http://me:secret@auth.test/";' 'auth_url: "http://me:secret@auth.test/" cannot be asked (A name'
wzp "auth_url = \"http://auth.test/$(printf %01024d 0)\";" 'auth_url: must have at most 1023 characters'
wzp 'auth_url = 7;' 'auth_url: must be URL'
wzp 'auth_ca = "none.pem";' "auth_ca: $DIR/none.pem cannot be read: No such file"
wzp 'auth_timeout = 0;' 'auth_timeout: 0 is out of range, must be 1 to 30'
wzp 'auth_cache = 86401;' 'auth_cache: 86401 is out of range, must be 0 to 86400'
wzp 'auth_requests = 1025;' 'auth_requests: 1025 is out of range, must be 1 to 1024'
wzp 'auth_identity = "none";' 'auth_identity: "none" is not allowed, must be one of "match", "any"'
wzp 'open_rooms = true; auth_url = "http://auth.test/";' 'open_rooms: must be false where tokens are validated'
printf 'wzp = { auth_url = "https://[fd00::7]:8443/validate"; auth_timeout = 3; auth_identity = "any"; };\n' | write_conf
expect 0 'tokens: validated by https://[fd00::7]:8443/validate, 64 at once, within 3 s' "$PLENUM" --check -f "$CONF"

# Who may join: identities of QUIC clients.
FP=9983:c2ce:0b17:4a5d:77f0:21c4:5e9a:b3d6
allow() { bad "rooms = ( { pattern = \"$1\"; allow = [ $2 ]; } );" "rooms[0].$3"; }
allow board '"9983"' 'allow[0]: "9983" is not a fingerprint, must be eight times four digits of lower-case hex'
allow board "\"$FP\", \"$(echo $FP | tr a-f A-F)\"" 'allow[1]: "9983:C2CE:'
allow board "\"$FP:0000\"" 'allow[0]: '
allow board '""' 'allow[0]: "" is not a fingerprint'
allow board '7' 'allow[0]: must be FINGERPRINT'
allow Board "\"$FP\"" 'pattern: "Board" has a rule with '
allow '[A-Z]*' "\"$FP\"" 'pattern: "[A-Z]*" has a rule with '
allow board "$(printf "\"$FP\"%.0s, " $(seq 64)) \"$FP\"" 'allow: '
printf 'rooms = ( { pattern = "Board"; }, { pattern = "board"; allow = [ %s ]; } );\n' \
	"$(printf "\"$FP\"%.0s, " $(seq 63)) \"$FP\"" | write_conf
expect 0 'memory: ' "$PLENUM" --check -f "$CONF"

quic 'connections = 8;' 'identity: must name a file where QUIC is served (connections 8)'
quic 'connections = 8; certificate = "c.pem";' 'key: must be there'
quic 'connections = 8; identity = "seed"; key = "k.pem";' 'certificate: must be there'
quic 'connections = 8; identity = "nowhere/seed";' "identity: $DIR/nowhere/seed: cannot be made: No such"
(umask 077 && printf 'zz\n' >"$DIR/seed")
quic 'connections = 8; identity = "seed";' "identity: $DIR/seed: corrupt: "
chmod 644 "$DIR/seed"
quic 'connections = 8; identity = "seed";' "identity: $DIR/seed: mode 0644 lets others read"
# pem NAME ALGORITHM...: NAME.pem, and its key NAME.key.
pem() {
	name=$1
	shift
	(umask 077 && openssl req -x509 -nodes -subj /CN=relay -days 10 -keyout "$DIR/$name.key" \
		-out "$DIR/$name.pem" "$@" 2>"$DIR/said") || die "$(cat "$DIR/said")"
}
pem rsa -newkey rsa:2048
pem one -newkey ed25519
pem two -newkey ec -pkeyopt ec_paramgen_curve:P-256
files() { quic "connections = 8; certificate = \"$1\"; key = \"$2\";" "$3"; }
files none.pem one.key "certificate: $DIR/none.pem: No such file"
files secret one.key "certificate: $DIR/secret: no PEM certificate"
files rsa.pem rsa.key "certificate: $DIR/rsa.pem: an RSA key"
files one.pem none.key "key: $DIR/none.key: No such file"
files one.pem two.key "key: $DIR/two.key: not the key of the certificate in $DIR/one.pem"
chmod 640 "$DIR/one.key"
files one.pem one.key "key: $DIR/one.key: mode 0640 lets others read"
printf 'quic = { connections = 8; certificate = "two.pem"; key = "two.key"; };\n' | write_conf
expect 0 'QUIC pool: ' "$PLENUM" --check -f "$CONF"
# One that is no longer valid is taken, with a word.
printf '%s\n' '[ca]' 'default_ca=a' '[a]' "database=$DIR/index" "new_certs_dir=$DIR" 'default_md=sha256' \
	'rand_serial=yes' 'policy=p' '[p]' 'commonName=supplied' >"$DIR/ca.conf"
: >"$DIR/index"
openssl req -new -key "$DIR/two.key" -subj /CN=relay -out "$DIR/two.req" 2>"$DIR/said" ||
	die "$(cat "$DIR/said")"
openssl ca -batch -notext -selfsign -config "$DIR/ca.conf" -keyfile "$DIR/two.key" -in "$DIR/two.req" \
	-startdate 20200101000000Z -enddate 20210101000000Z -out "$DIR/two.pem" 2>"$DIR/said" ||
	die "$(cat "$DIR/said")"
expect 0 "warning: $DIR/two.pem: certificate 1 " "$PLENUM" --check -f "$CONF"
rm "$DIR/seed"
printf 'quic = { connections = 8; identity = "seed"; };\n' | write_conf
expect 0 'QUIC pool: ' "$PLENUM" --check -f "$CONF"
[ ! -e "$DIR/seed" ] || die "--check made an identity"

# Static endpoints: their own values, and what holds between them, ports and limits.
static() { bad "trusted_network = true; static = ( $1 );" "$2"; }
ONE='room = "r"; participant = "a"; role = "b"; address = "198.18.0.7"; udp_port = 5004;'
TWO='room = "r"; participant = "b"; role = "b"; address = "198.18.0.7"; udp_port = 5005;'
bad "static = ( { $ONE } );" 'static[0]: a static endpoint is known by its address alone, must be whe'
bad "trusted_network = false; static = ( { $ONE } );" 'static[0]: a static endpoint is known by'
static "{ $ONE }, { $ONE }" 'static[1].participant: is there twice in room r, static[0] has it'
static "{ $TWO }, { $ONE count = 2; }" 'static[1].udp_port: address and UDP port are there twice, st'
static "{ $ONE port = 1; }" 'static[0].port: there is no port 1, must be 0 to 0'
static "{ $ONE port = 8; }" 'static[0].port: 8 is out of range, must be 0 to 7'
static "{ $ONE relay = \"198.18.0.2\"; }" 'static[0].relay: must be an address of port 0'
static "{ $ONE relay = \"x\"; }" 'static[0].relay: "x" is not an address'
static "{ $ONE count = 0; }" 'static[0].count: 0 is out of range, must be 1 to 32000'
static "{ $ONE count = 101; }" 'static[0].count: one endpoint too many, must be at most limits.sessio'
static "{ $ONE count = 60; }, { $TWO address_ = 1; }" 'static[1].address_: unknown setting'
static "{ $ONE each = \"x\"; }" 'static[0].each: "x" is not allowed, must be one of "port", "address"'
static "{ $ONE count = 249; each = \"address\"; }" 'static[0].address: an address of the row from 198.18.0.7 to 198.18.0.255: is the network'
static "{ $ONE packets_per_s = 0; }" 'static[0].packets_per_s: 0 is out of range'
place() {
	static "{ room = \"r\"; participant = \"a\"; role = \"s\"; udp_port = $2; address = \"$1\"; $3 }" \
		"static[0].$4"
}
place 198.18.1.7 5004 '' "address: is outside of its port: not on the port's link, and there is no g"
place fd00::7 5004 '' 'address: is outside of its port: port 0 has no IPv6 address'
place fd00::7 5004 'relay = "198.18.0.1";' "relay: must be of the address's family"
place 198.18.0.1 5004 '' 'address: is an address of the relay, or a row with one in it'
place 198.18.0.255 5004 '' "address: is the network's own or broadcast address, must be a host's"
place 224.0.0.1 5004 '' 'address: must be a unicast address'
place 198.18.0.7 65500 'count = 37;' 'count: 37 endpoints are too many: their UDP ports go beyond 65'
place 198.18.0.7 5004 'room_ = "r";' 'room_: unknown setting'
static '{ room = "r:s"; }' 'static[0].room: "r:s" is not a name, must be 1 to 63 letters'
static '{ room = "r"; participant = "a"; role = "x"; }' 'static[0].role: "x" is not allowed'
printf 'trusted_network = true; static = ( { %s }, { %s } );\n' "$ONE" "$TWO" | write_conf
expect 0 'static endpoints: 2' "$PLENUM" --check -f "$CONF"
printf 'rooms = ( { pattern = "r"; max = 1; } ); trusted_network = true; static = ( { %s }, { %s } );\n' \
	"$ONE" "$TWO" | write_conf
expect 1 "plenum.conf:8: static[1].count: one endpoint too many, must be at most the room's max (1)" \
	"$PLENUM" --check -f "$CONF"

# Of a row not the ends alone: what lies between the port's networks, or is none of their hosts.
row() {
	printf 'trusted_network = true; static = ( { room = "r"; participant = "a"; role = "s"; %s } );\n' \
		"udp_port = 5004; each = \"address\"; address = \"$2\"; count = $3;" | write_conf
	sed -i "1s|.*|ports = ( { device = \"net_null0\"; addresses = ( $1 ); } );|" "$CONF"
	expect "$4" "$5" "$PLENUM" --check -f "$CONF"
}
AT='plenum.conf:8: static[0].address: an address of the row from'
NEAR='{ address = "198.18.0.1/24"; gateway = "198.18.0.254"; }'
row "$NEAR" 198.18.0.250 4 0 'static endpoints: 4'
row "$NEAR" 198.18.1.250 10 0 'static endpoints: 10'
row "$NEAR" 198.18.0.250 10 1 "$AT 198.18.0.250 to 198.18.1.3: is the network's own or broadcast"
row "$NEAR" 198.17.255.250 20 1 "$AT 198.17.255.250 to 198.18.0.13: is the network's own or broadcast"
TWO_NETS='{ address = "fd00::1/120"; }, { address = "fd00::201/120"; }'
row "$TWO_NETS" fd00::f0 16 0 'static endpoints: 16'
row "$TWO_NETS" fd00::f0 305 1 "$AT fd00::f0 to fd00::220: is outside of its port"
row '{ address = "fd00::1/120"; }, { address = "fd00::1ff/120"; }' fd00::f0 32 0 'static endpoints: 32'

# Values of the first lines, which stand before the others.
bad_port() {
	write_conf </dev/null
	sed -i "1s|.*|ports = ( { device = \"net_null0\"; addresses = ( $1 ); } );|" "$CONF"
	expect 1 "plenum.conf:1: ports[0].addresses[0].$2" "$PLENUM" --check -f "$CONF"
}
bad_port '{ address = "198.18.0.1"; }' 'address: "198.18.0.1" is not an address with its prefix'
bad_port '{ address = "198.18.0.1/33"; }' 'address: '
bad_port '{ address = "224.0.0.1/24"; }' 'address: must be a unicast address'
bad_port '{ address = "fe80::1/64"; }' 'address: a link-local address is added by itself'
bad_port '{ address = "198.18.0.1/24"; gateway = "198.18.1.1"; }' 'gateway: is not on the link'
bad_port '{ address = "198.18.0.1/24"; gateway = "fd00::1"; }' "gateway: must be of the address's"
bad_port '{ gateway = "198.18.1.1"; }' 'address: missing'

write_conf </dev/null
chmod 644 "$DIR/secret"
expect 1 'plenum.conf:2: secrets[0]: ' "$PLENUM" --check -f "$CONF"
rm "$DIR/secret"
expect 1 'plenum.conf:2: secrets[0]: ' "$PLENUM" --check -f "$CONF"
expect 1 'cannot be read' "$PLENUM" --check -f "$DIR/nowhere.conf"
expect 1 'not a regular file' "$PLENUM" --check -f "$DIR"

expect 2 'usage: ' "$PLENUM"
expect 2 'usage: ' "$PLENUM" --no-such-option
expect 2 'usage: ' "$PLENUM" -f "$CONF" more
expect 0 'usage: ' "$PLENUM" --help
expect 0 'plenum ' "$PLENUM" --version
expect 2 'settings, commands or counters' "$PLENUM" --reference nothing
