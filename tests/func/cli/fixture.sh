# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# For the scripts beside it: a directory that goes with them, and a relay on a device that
# carries nothing. They need neither root nor hugepages nor a network.

PLENUM=$1
DIR=$(mktemp -d)
RELAY=
SOCKET=$DIR/ctl.sock

cleanup() {
	[ -z "$RELAY" ] || kill -KILL "$RELAY" 2>/dev/null
	rm -rf "$DIR"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die() {
	printf '%s\n' "$*" >&2
	exit 1
}

(umask 077 && printf 'sixteen bytes and more\n' >"$DIR/secret")

# A good file; what follows on standard input is added.
write_conf() {
	cat >"$DIR/plenum.conf" <<CONF
ports = ( { device = "net_null0,no-rx=1"; addresses = ( { address = "198.18.0.1/24"; } ); } );
secrets = [ "secret" ];
hugepages = false;
idle = "sleep";
limits = { sessions = 100; rooms = 10; };
events = "$DIR/events";
control_socket = "$SOCKET";
CONF
	cat >>"$DIR/plenum.conf"
}

start_relay() {
	: >"$DIR/err" # what the one before said is not this one's word; its process may begin late
	"$PLENUM" -f "$DIR/plenum.conf" "$@" </dev/null >"$DIR/out" 2>"$DIR/err" &
	RELAY=$!
	for _ in $(seq 200); do
		grep -q '^plenum: running' "$DIR/err" && return 0
		kill -0 "$RELAY" 2>/dev/null || break
		sleep 0.05
	done
	cat "$DIR/err" >&2
	die "the relay did not start"
}

# Wait for its end: end_relay EXIT_CODE
end_relay() {
	wait "$RELAY"
	code=$?
	RELAY=
	[ "$code" -eq "$1" ] || die "the relay ended with $code, not $1: $(cat "$DIR/err")"
}

# expect CODE TEXT COMMAND...: exit code, and something it says on either stream.
expect() {
	want=$1 text=$2
	shift 2
	"$@" >"$DIR/said" 2>&1
	code=$?
	[ "$code" -eq "$want" ] || die "$*: exit $code, not $want: $(cat "$DIR/said")"
	[ -z "$text" ] || grep -qF -e "$text" "$DIR/said" || die "$*: nothing of '$text' in: $(cat "$DIR/said")"
}
