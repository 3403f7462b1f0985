"""The result as one SVG: each row's ratio with its spread, and below what each of many costs. No library, no colours that only
some can tell apart."""
import math
from xml.sax.saxutils import escape

WIDTH, LINE, LABELS, PLOT = 1080, 18, 470, 560
OURS, THEIRS, GREY = '#1b6ca8', '#c8701a', '#888'


def text(x, y, words, anchor='start', fill='#222'):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'


def line(x1, y1, x2, y2, stroke, width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width}"/>'


def scale(values, begin, size):
    """A logarithmic axis over the values: its function and the powers of ten on it."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    return (lambda value: begin + size * (math.log10(value) - low) / (high - low)), [10.0 ** i for i in range(low, high + 1)]


def ratios(rows, top):
    """A dot for the median, a line from p10 to p90."""
    rows = [row for row in rows if row['ratio'] and row['ratio']['p10'] > 0]
    x, ticks = scale([value for row in rows for value in row['ratio'].values()], LABELS, PLOT)
    bottom = top + LINE * (len(rows) + 1)
    parts = [text(8, top - 6, 'ratio of procfs-mp to the other: median, p10 to p90')]
    for tick in ticks:
        parts += [line(x(tick), top, x(tick), bottom, '#222' if tick == 1 else '#ddd'), text(x(tick), bottom + 14, f'{tick:g}', 'middle', GREY)]
    for number, row in enumerate(rows):
        y = top + LINE * (number + 1)
        ratio = row['ratio']
        parts += [text(LABELS - 8, y + 4, f"{row['what']} / {row['beside']}", 'end'),
                  line(x(ratio['p10']), y, x(ratio['p90']), y, OURS, 3),
                  f'<circle cx="{x(ratio["median"]):.1f}" cy="{y}" r="4" fill="{OURS}"/>']
    return parts, bottom + 40


def curve(points, x, y, colour):
    path = ' '.join(f'{x(count):.1f},{y(value):.1f}' for count, value in points)
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']


def growth(row, left, top, size):
    """How many along, microseconds of each up."""
    points = row['points']
    ours = [(point['count'], point['ours']) for point in points]
    theirs = [(point['count'], point['theirs']) for point in points if point['theirs']]
    x, across = scale([count for count, _ in ours], left + 44, size - 60)
    y, up = scale([value for _, value in ours + theirs], top + 120, -100)
    parts = [text(left, top + 8, f"{row['what']}, {row['unit']}")]
    for tick in across:
        parts += [line(x(tick), top + 20, x(tick), top + 120, '#ddd'), text(x(tick), top + 134, f'{tick:,.0f}', 'middle', GREY)]
    for tick in up:
        parts += [line(left + 44, y(tick), left + size - 16, y(tick), '#ddd'), text(left + 40, y(tick) + 4, f'{tick:g}', 'end', GREY)]
    parts += curve(ours, x, y, OURS) + curve(theirs, x, y, THEIRS)
    return parts + [text(left + size - 16, top + 8, row['beside'], 'end', THEIRS)]


def draw(results, machine):
    parts, top = ratios(results['rows'], 60)
    rows, size = results['growth'], WIDTH // 3
    for number, row in enumerate(rows):
        parts += growth(row, 8 + size * (number % 3), top + 160 * (number // 3), size - 8)
    height = top + 160 * ((len(rows) + 2) // 3)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n{text(8, 20, machine)}\n' + '\n'.join(parts) + '\n</svg>\n')
