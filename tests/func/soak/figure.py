# SPDX-License-Identifier: BSD-3-Clause
"""The samples of a soak as one picture: small multiples over one time axis."""

import io
import os
import tempfile

# Its cache is nobody's home.
os.environ.setdefault("MPLCONFIGDIR", os.path.join(tempfile.gettempdir(), "plenum-matplotlib"))

import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import MaxNLocator
from PIL import Image

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = \
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#9467bd", "#56b4e9", "#999999"
# Kinds of events with a colour of their own, which are marked in every panel of a short run.
ACROSS = {"reload": PURPLE, "gateway": ORANGE, "garbage": GREY}
ACROSS_MAX = 50  # more of them would hide what they cross
ROWS = (("comes, for short", ("join", "short_lived")),
        ("falls silent, vanishes", ("leave", "vanish")),
        ("crowd ends, is killed", ("crowd_ends", "crowd_killed")),
        ("replaced, moves", ("replace", "move")), ("kicked", ("kick",)), ("expired", ("expired",)),
        ("burst", ("burst",)),
        ("reload", ("reload",)), ("gateway changes", ("gateway",)), ("garbage", ("garbage",)))
STYLE = {"font.size": 8, "axes.titlesize": 9, "axes.titleweight": "bold",
         "axes.titlelocation": "left",
         "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#666666",
         "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.6, "legend.frameon": False,
         "legend.fontsize": 7.5, "lines.linewidth": 1.1, "font.family": "DejaVu Sans"}


def rates(samples, *names):
    """Per second, at each sample: of the sum of some counters."""
    found = [0.0]
    for before, after in zip(samples, samples[1:]):
        change = sum(after[n] - before[n] for n in names)
        found.append(change / max(0.05, after["t"] - before["t"]))
    return found


def smooth(values, size):
    """The mean of the last few, so that a line of single packets can be read."""
    return [sum(values[max(0, i - size + 1):i + 1]) / min(size, i + 1) for i in range(len(values))]


def panel_lines(samples):
    """(title, unit, [(label, values, colour)], lowest top of the axis) of each panel."""
    def of(key, scale=1.0):
        return [s[key] * scale for s in samples]

    def above(key, scale=1.0):
        return [(s[key] - samples[0][key]) * scale for s in samples]

    def pools(prefix):
        keys = [k for k in samples[0] if k.startswith("pool_" + prefix)]
        return [sum(s[k] for k in keys) for s in samples]

    def parked():
        keys = [k for k in samples[0] if k.startswith("parked_worker")]
        return [sum(s[k] for k in keys) for s in samples]

    garbage = [k for k in samples[0] if k.startswith(("c_l2_", "c_ip_", "c_udp_")) or
               k in ("c_first_byte", "c_empty", "c_stun_filter", "c_stun_malformed",
                     "c_ctl_malformed", "c_rtp_malformed", "c_rtcp_malformed")]
    window = 3 if len(samples) < 400 else 8
    busy = [k for k in samples[0] if k.startswith("busy_")]
    colours = dict(zip(sorted(busy), (GREY, BLUE, SKY)))
    return (
        ("memory above the idle level", "kB", [
            ("resident", above("rss_kb"), BLUE),
            ("in use of DPDK's heap", above("heap_bytes", 1 / 1024), ORANGE)], 1024),
        ("sessions and rooms", "", [("sessions", of("sessions"), BLUE),
                                    ("rooms", of("rooms"), ORANGE)], 10),
        ("mbufs in use", "", [("headers", pools("hdr"), BLUE), ("receive", pools("rx"), ORANGE),
                              ("linear copies", pools("copy"), GREEN),
                              ("slow path", pools("frames"), RED)], 64),
        ("waiting", "", [("views to be freed", of("views_waiting"), BLUE),
                         ("ended sessions to be freed", of("sessions_pending"), ORANGE),
                         ("parked and buffered", parked(), GREEN)], 8),
        ("packets per second", "", [(label, smooth(rates(samples, key), window), colour)
                                    for label, key, colour in (
                                        ("copies sent", "c_copies_sent", BLUE),
                                        ("media received", "c_media", GREEN),
                                        ("crossed workers", "c_crossed_in", ORANGE))], 100),
        ("drops per second, by what explains them", "", [
            ("garbage", smooth(rates(samples, *garbage), window), GREY),
            ("media without session", smooth(rates(samples, "c_no_session", "c_stale_session"),
                                             window), BLUE),
            ("copies", smooth(rates(samples, "c_copy_left", "c_copy_no_neighbour",
                                    "c_copy_no_mbuf", "c_copy_park_full"), window), RED),
            ("refusals", smooth(rates(samples, "c_stun_401", "c_stun_403"), window), ORANGE)],
         20),
        ("busy, percent of a CPU", "", [(k[5:].replace("worker", "worker ").replace(
            "slowpath", "slow path"), smooth(of(k), window), colours[k]) for k in sorted(busy)],
         5),
        ("held by the process", "", [("file descriptors", of("fds"), BLUE),
                                     ("threads", of("threads"), ORANGE)], 10),
    )


def draw_events(axes, marks, minutes):
    """One row per kind of event."""
    for row, (_, kinds) in enumerate(ROWS):
        for i, kind in enumerate(kinds):
            colour = ACROSS.get(kind) or (BLUE, ORANGE)[i]
            axes.plot([t / 60 for t, k in marks if k == kind],
                      [row] * sum(k == kind for _, k in marks), "|", color=colour, markersize=7,
                      markeredgewidth=1.3)
    axes.set_yticks(range(len(ROWS)), [name for name, _ in ROWS])
    axes.set_ylim(len(ROWS) - 0.4, -0.6)
    axes.set_xlim(0, minutes)
    axes.grid(False, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_title("what happened (where a row has two kinds, the second is orange)")


def draw_panel(axes, minutes, marks, panel):
    times, end = minutes
    title, unit, lines, least = panel
    across = sum(kind in ACROSS for _, kind in marks) <= ACROSS_MAX
    for at, kind in marks:
        if kind in ACROSS and across:
            axes.axvline(at / 60, color=ACROSS[kind], alpha=0.28, linewidth=0.7, zorder=0)
    for label, values, colour in lines:
        axes.plot(times, values, color=colour, label=label)
    axes.set_title(title + (f", {unit}" if unit else ""))
    axes.set_xlim(0, end)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    highest = max(max(values) for _, values, _ in lines)
    lowest = min(min(values) for _, values, _ in lines)
    axes.set_ylim(min(0, lowest * 1.1), max(highest * 1.3, least))
    if len(lines) > 1:
        axes.legend(loc="upper left", ncols=len(lines), borderpad=0.1, handlelength=1.2,
                    columnspacing=1.2)


def draw(path, samples, marks, seed):
    """Write the picture, as a PNG with a palette."""
    samples = [s for s in samples if s["t"] >= 0]
    times = [s["t"] / 60 for s in samples]
    panels = panel_lines(samples)
    with pyplot.rc_context(STYLE):
        rows = (len(panels) + 1) // 2
        sheet = pyplot.figure(figsize=(11.5, 2.3 + 1.75 * rows), layout="constrained")
        grid = sheet.add_gridspec(rows + 1, 2, height_ratios=[1.15] + [1] * rows)
        draw_events(sheet.add_subplot(grid[0, :]), marks, times[-1])
        for i, panel in enumerate(panels):
            axes = sheet.add_subplot(grid[1 + i // 2, i % 2])
            draw_panel(axes, (times, times[-1]), marks, panel)
            if i >= len(panels) - 2:
                axes.set_xlabel("minutes")
            else:
                axes.tick_params(labelbottom=False)
        sheet.suptitle(f"A relay of two workers for {times[-1]:.0f} minutes of joins, ends and "
                       f"accidents (seed {seed})", fontsize=11, x=0.01, ha="left")
        buffer = io.BytesIO()
        sheet.savefig(buffer, format="png", dpi=100)
        pyplot.close(sheet)
    buffer.seek(0)
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(255, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
