# SPDX-License-Identifier: BSD-3-Clause
"""Stacks to a flame graph: a box per function, as wide as its share, on top of who called it.

    flame_graph.py perf FILE OUT.svg        FILE: what `perf script -F comm,tid,ip,sym` printed
    flame_graph.py callgrind FILE OUT.svg   FILE: what callgrind wrote with --separate-callers=N

--threads EXPRESSION keeps the threads whose name the regular expression matches; --root FUNCTION lets stacks begin there.
Beside OUT.svg stands OUT.folded: a line per stack, "outermost;...;innermost count".
"""

import argparse
import collections
import re
import sys
import zlib
from xml.sax.saxutils import escape

WIDTH, ROW, MARGIN, HEAD = 1200, 17, 10, 46
CHAR = 6.6  # of 11 px monospace
NARROWEST = 0.3  # px; what is narrower is in its caller's box, unseen


def read_perf(lines):
    """(thread, stack, 1) of each sample, outermost function first."""
    thread, frames = None, []
    for line in lines:
        line = line.rstrip()
        if not line:
            if thread is not None and frames:
                yield thread, tuple(reversed(frames)), 1
            thread, frames = None, []
        elif line[0].isspace() and thread is not None:
            name = line.split(None, 1)[1] if len(line.split(None, 1)) > 1 else "[unknown]"
            frames.append(re.sub(r"\s*\(.*\)$|\+0x[0-9a-f]+$", "", name))
        else:
            thread, frames = line.strip().rsplit(None, 1)[0], []
    if thread is not None and frames:
        yield thread, tuple(reversed(frames)), 1


def read_callgrind(lines):
    """("", stack, instructions) of each context: callgrind names it function'caller'caller's caller."""
    names, stack, is_call = {}, (), False
    for line in lines:
        line = line.strip()
        match = re.match(r"fn=\((\d+)\)(?: (.*))?$", line)
        if match:
            number, name = match.groups()
            if name is not None:
                names[number] = name
            stack = tuple(reversed(names[number].split("'")))
        elif line.startswith("cfn=("):
            match = re.match(r"cfn=\((\d+)\) (.*)$", line)
            if match:
                names[match.group(1)] = match.group(2)
        elif line.startswith("calls="):
            is_call = True  # the next line is what the callee cost
        elif re.match(r"[-+*\d]", line):
            words = line.split()
            if not is_call and len(words) > 1:
                yield "", stack, int(words[1])
            is_call = False


def fold(samples, threads, root):
    folded = collections.Counter()
    for thread, stack, count in samples:
        if thread and not re.match(threads, thread):
            continue
        if root is not None:
            if root not in stack:
                continue
            stack = stack[stack.index(root):]
        folded[stack] += count
    return folded


def tree(folded):
    """A node: [count, {name: node}]."""
    top = [0, {}]
    for stack, count in folded.items():
        node = top
        node[0] += count
        for name in stack:
            node = node[1].setdefault(name, [0, {}])
            node[0] += count
    return top


def depth(node):
    return 1 + max(map(depth, node[1].values()), default=0)


def colour(name):
    """Warm, the same for the same name; functions of ours stand out."""
    tone = zlib.crc32(name.encode()) % 60
    if name.startswith(("plm_", "bench_")):
        return f"rgb(230,{120 + tone},60)"
    return f"rgb({200 + tone // 2},{190 + tone // 2},{110 + tone})"


def boxes(node, name, x, level, scale, total, height):
    """The SVG of a node and what stands on it, heaviest first is not needed: by name."""
    width = node[0] * scale
    if width < NARROWEST:
        return
    y = height - MARGIN - (level + 1) * ROW
    share = f"{name}: {100 * node[0] / total:.2f} %, {node[0]}"
    yield (f'<g><title>{escape(share)}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
           f'height="{ROW - 1}" fill="{colour(name)}" rx="1"/>')
    room = int((width - 4) / CHAR)
    if room >= 3:
        text = name if len(name) <= room else name[:room - 2] + ".."
        yield f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(text)}</text>'
    yield "</g>"
    for child, below in sorted(node[1].items()):
        yield from boxes(below, child, x, level + 1, scale, total, height)
        x += below[0] * scale


def svg(top, title, unit):
    height = HEAD + depth(top) * ROW + MARGIN
    scale = (WIDTH - 2 * MARGIN) / top[0]
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">')
    yield f'<rect width="{WIDTH}" height="{height}" fill="#fffdf6"/>'
    yield f'<text x="{MARGIN}" y="22" font-size="15">{escape(title)}</text>'
    yield (f'<text x="{MARGIN}" y="38">{top[0]} {unit}; a box is as wide as its share, point at it '
           "for figures</text>")
    yield from boxes(top, "all", MARGIN, 0, scale, top[0], height)
    yield "</svg>"


def print_heaviest(folded, total):
    """The functions by what they cost themselves, and with what they called."""
    own, whole = collections.Counter(), collections.Counter()
    for stack, count in folded.items():
        own[stack[-1]] += count
        for name in set(stack):
            whole[name] += count
    print(f"{'own':>8} {'with callees':>13}  function")
    for name, count in own.most_common(15):
        print(f"{100 * count / total:6.1f} % {100 * whole[name] / total:11.1f} %  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("perf", "callgrind"))
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--threads", default=".")
    parser.add_argument("--root")
    parser.add_argument("--title", default="flame graph")
    args = parser.parse_args()
    read = read_perf if args.kind == "perf" else read_callgrind
    with open(args.source, encoding="utf-8", errors="replace") as file:
        folded = fold(read(file), args.threads, args.root)
    if not folded:
        print("flame_graph: no stack there", file=sys.stderr)
        return 1
    top = tree(folded)
    with open(re.sub(r"\.svg$", "", args.out) + ".folded", "w", encoding="utf-8") as file:
        for stack, count in sorted(folded.items()):
            file.write(f"{';'.join(stack)} {count}\n")
    unit = "samples" if args.kind == "perf" else "instructions"
    with open(args.out, "w", encoding="utf-8") as file:
        file.write("\n".join(svg(top, args.title, unit)) + "\n")
    print_heaviest(folded, top[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
