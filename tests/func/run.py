#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run relay tests: plenum on af_packet in network namespaces of its own. Needs root.

    tests/func/run.py --list
    sudo tests/func/run.py --build build [--long] NAME...

WZP_DIR and PKTGEN_DIR name the folders of programs that the full forms of two tests use.
"""

import argparse
import importlib
import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = ("test_matrix", "test_admission", "test_ice", "test_rooms", "test_network",
           "test_control", "test_static", "test_surfaces", "test_garbage", "test_worker",
           "test_ports", "test_load", "test_pktgen", "test_quic_peers", "test_quic",
           "test_client_quic", "test_client_wzp", "test_wzp_auth", "test_wzp_original",
           "test_wzp_load")


def collect():
    """{name: function} of every test, in the order in which they are written."""
    tests = {}
    for name in MODULES:
        for function in vars(importlib.import_module(name)).values():
            if hasattr(function, "test_long"):
                tests[function.__name__] = function
    return tests


def interrupted(number, frame):
    raise KeyboardInterrupt  # so that every `with` cleans up


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build", help="build directory")
    parser.add_argument("--list", action="store_true",
                        help="names, what --long adds, what it is, and whether it may run beside another")
    parser.add_argument("--long", action="store_true", help="the full form of the tests")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    tests = collect()
    if args.list:
        for name, function in tests.items():
            print(name, function.test_long, function.__doc__.splitlines()[0],
                  "beside" if function.test_beside else "", sep="\t")
        return 0
    for name in args.names:
        if name not in tests:
            parser.error(f"no test {name} (try --list)")
    signal.signal(signal.SIGTERM, interrupted)
    failed = 0
    for name in args.names or tests:
        begun = time.monotonic()
        try:
            tests[name](os.path.abspath(args.build), args.long)
            print(f"{name}: ok ({time.monotonic() - begun:.1f} s)", flush=True)
        except KeyboardInterrupt:
            print(f"{name}: interrupted")
            return 130
        except Exception as error:  # whatever it is, the next test shall run
            failed += 1
            if error.__class__.__name__ != "Failure":
                traceback.print_exc(file=sys.stdout)
            print(f"{name}: FAILED ({time.monotonic() - begun:.1f} s): {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
