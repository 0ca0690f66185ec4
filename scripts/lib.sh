# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the scripts share. Sourced, not run: `. "$(dirname "$0")/lib.sh"`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools that the tests need and Debian does not package: a Python environment, a Go toolchain.
TOOLS=$ROOT/.venv
# Debian's own Python, whatever else stands first in PATH; scripts/setup installs it.
export PYTHON=/usr/bin/python3
# A name for everything that this run makes: namespaces, sockets, EAL's file prefix.
export RUN=plm$$

say() { printf '%s\n' "$*"; }
die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

need_root() {
	[ "$(id -u)" -eq 0 ] || die "needs root (namespaces, packages): sudo $0 $*"
}

# The comment behind the licence line is the help text of a script.
show_help() {
	sed -n '3,/^[^#]/{/^#/!d; s/^# \{0,1\}//; p}' "$0"
}

now_ms() { date +%s%3N; }

# Seconds since now_ms value $1, with one digit.
since() {
	local ms=$(($(now_ms) - $1))
	printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# One line of progress for a command, which runs in the background so that a signal ends us at
# once: STEP_PID names it for the trap.
#   step "what is done" LOG COMMAND...
# STEP_BEGUN: when it was begun, if that was earlier (now_ms).
STEP_PID='' STEP_BEGUN=''
step() {
	local what=$1 log=$2 begun rc=0
	shift 2
	begun=${STEP_BEGUN:-$(now_ms)}
	printf '%-44s ' "$what"
	"$@" </dev/null >"$log" 2>&1 &
	STEP_PID=$!
	wait "$STEP_PID" || rc=$?
	STEP_PID=
	if [ "$rc" -eq 0 ]; then
		printf ' ok   %6s s\n' "$(since "$begun")"
	else
		printf ' FAIL %6s s\n' "$(since "$begun")"
	fi
	return "$rc"
}

# End a process and its children, by pid; it gets $2 tenths of a second to do so by itself.
end_process() {
	local pid=$1 patience=${2:-50} child
	kill -0 "$pid" 2>/dev/null || return 0
	for child in $(ps -o pid= --ppid "$pid"); do
		end_process "$child" "$patience"
	done
	kill -TERM "$pid" 2>/dev/null
	while kill -0 "$pid" 2>/dev/null && [ "$patience" -gt 0 ]; do
		sleep 0.1
		patience=$((patience - 1))
	done
	kill -KILL "$pid" 2>/dev/null
	return 0
}

# Remove the namespaces of this run, with whoever still lives in them. Their interfaces go with them.
remove_namespaces() {
	local ns pid
	for ns in $(ip netns list 2>/dev/null | awk -v run="$RUN" 'index($1, run) == 1 { print $1 }'); do
		for pid in $(ip netns pids "$ns" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$ns" 2>/dev/null
	done
	return 0
}

# A Go that can build the tests' peers: the machine's if it is new enough, else our own.
find_go() {
	local go
	for go in "$(command -v go)" /usr/local/go/bin/go "$TOOLS/bin/go"; do
		if [ -x "$go" ] && "$go" version 2>/dev/null |
			awk '{ split(substr($3, 3), v, "."); exit !(v[1] > 1 || v[2] >= 26) }'; then
			printf '%s' "$go"
			return 0
		fi
	done
	return 1
}

# The same for Rust, which is the machine's or Debian's.
find_cargo() {
	local cargo
	for cargo in "$(command -v cargo)" ~/.cargo/bin/cargo /usr/bin/cargo; do
		if [ -x "$cargo" ] && "$cargo" --version 2>/dev/null |
			awk '{ split($2, v, "."); exit !(v[1] > 1 || v[2] >= 85) }'; then
			printf '%s' "$cargo"
			return 0
		fi
	done
	return 1
}

# Configure (once) and compile: build DIR CC [MESON OPTIONS...]
build() {
	local dir=$1 cc=$2
	shift 2
	if [ ! -f "$dir/build.ninja" ]; then
		CC=$cc meson setup "$dir" "$ROOT" "$@" || return
	fi
	ninja -C "$dir"
}
