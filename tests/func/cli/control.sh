#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A relay on a device that carries nothing: exit codes of `plenum ctl`, the socket, reload, a file
# of commands, and the ways to end.
set -u
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fixture.sh"
ctl() { "$PLENUM" ctl --socket "$SOCKET" "$@"; }

expect 3 "no relay runs at $SOCKET" ctl show room all
expect 2 'usage: ' "$PLENUM" ctl
expect 2 'usage: ' "$PLENUM" ctl --no-such-option

write_conf </dev/null
start_relay
[ "$(stat -c %a "$SOCKET")" = 600 ] || die "the socket has mode $(stat -c %a "$SOCKET")"
expect 1 'another plenum owns' "$PLENUM" -f "$DIR/plenum.conf"

while IFS='|' read -r code command text; do
	expect "$code" "$text" ctl "$command"
done <<'CASES'
0|show port stats all|rx packets
0|show port info all|net_null0
0|show room all|publishers
0|show session all|participant
0|show static all|participant
0|show lcore all|worker 0
0|show drops|slow path
0|show drops all|copy_no_mbuf
0|show counters|rx_packets
0|show latency|p99.9
0|show memory|frames
0|show neighbour all|
0|help|drain [<seconds:0-86400>]
0|stop|
0|start|
0|clear|
0|reload|1 secret read, limits, 0 static endpoints; other settings need a restart
1|show room nowhere|there is no room nowhere
1|show session 5.6|there is no session 5.6
1|show session five|is no session
1|kick 1.1|there is no session 1.1
1|kick room nobody|there is no nobody in a room room
1|set room nowhere max 5|there is no room nowhere
2|set room nowhere max 0|usage: set room <name> max <participants:1-32000>
2|set room nowhere rtcp|usage: set room <name> rtcp clear|opaque
2|show|usage: show port stats all
2|drain never|usage: drain [<seconds:0-86400>]
2|frobnicate|unknown command
CASES
# Words of their own arrive as one line.
expect 0 'publishers' ctl show room all
expect 2 'one line' ctl 'show room all
quit'

# An invalid file changes nothing and says why; by signal, too.
chmod 644 "$DIR/secret"
expect 1 'nothing changed' ctl reload
chmod 600 "$DIR/secret"
kill -HUP "$RELAY"
for _ in $(seq 100); do
	grep -q 'plenum: reload: 1 secret read' "$DIR/err" && break
	sleep 0.05
done
grep -q 'plenum: reload: 1 secret read' "$DIR/err" || die "SIGHUP did nothing: $(cat "$DIR/err")"

ctl drain 0 >/dev/null || die "drain failed"
end_relay 0
grep -q 'every mempool is full again' "$DIR/err" || die "no word of the pools: $(cat "$DIR/err")"
[ ! -e "$SOCKET" ] || die "the socket is still there"
grep -q '"event":"reload"' "$DIR/events" || die "no reload in the event log"

for signal in INT TERM; do
	start_relay
	kill -$signal "$RELAY"
	end_relay 0
	grep -q 'every mempool is full again' "$DIR/err" || die "SIG$signal: no word of the pools"
done

# What a killed relay leaves behind is not in the way.
start_relay
kill -KILL "$RELAY"
wait "$RELAY" 2>/dev/null
expect 3 'no relay runs' ctl show room all
start_relay
ctl quit || die "quit failed"
end_relay 0

# A file of commands: printed, and the first that fails ends it.
printf '# comment\nshow port info all\nshow drops\nquit\n' >"$DIR/commands"
start_relay --cmdline-file "$DIR/commands"
end_relay 0
grep -q 'port net_null0' "$DIR/out" || die "the file's commands printed: $(cat "$DIR/out")"
printf 'show port info all\nshow nothing\n' >"$DIR/commands"
expect 1 "$DIR/commands:2: the command failed" \
	"$PLENUM" -f "$DIR/plenum.conf" --cmdline-file "$DIR/commands"

# A device that is not there, and a place that cannot be written.
sed -i '1s/net_null0,no-rx=1/net_af_packet0,iface=nowhere0/' "$DIR/plenum.conf"
expect 1 'port net_af_packet0,iface=nowhere0: no such device' "$PLENUM" -f "$DIR/plenum.conf"
write_conf </dev/null
sed -i "s|$DIR/events|$DIR/nowhere/events|" "$DIR/plenum.conf"
expect 1 'events: ' "$PLENUM" -f "$DIR/plenum.conf"
sed -i "s|$SOCKET|$DIR/nowhere/ctl.sock|" "$DIR/plenum.conf"
expect 1 'control_socket: ' "$PLENUM" -f "$DIR/plenum.conf"
