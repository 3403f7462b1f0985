"""Rows of the result: what something costs in procfs-mp beside another way, measured in the same rounds."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = os.environ.get('BENCH_PROGRAMS') or os.path.join(TOP, 'build', 'tests')


def program(name):
    return os.path.join(PROGRAMS, name)


def quantile(values, part):
    values = sorted(values)
    return values[round(part * (len(values) - 1))]


def spread(values):
    return {name: float(f'{quantile(values, part):.4g}') for name, part in (('p10', .1), ('median', .5), ('p90', .9))}


def columns(words, prepare=None, **keywords):
    """Runs a measuring program: {name in its first line: [number of each following line]}"""
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=prepare, **keywords)
    names, *lines = done.stdout.splitlines()
    return dict(zip(names.split(), zip(*(map(float, line.split()) for line in lines))))


def scaled(values, factor):
    return [one * factor for one in values]


class Results:
    """Rows, in the order in which they are added; what is only told (numbers without a peer); what is missing and why."""

    def __init__(self, quick):
        self.quick = quick
        self.rows, self.growth, self.missing, self.requests = [], [], [], {}

    def add(self, what, unit, ours, beside, reach=None):
        """ours: the value of each round. beside: {way: the same}; the ratio is taken round by round. reach: the largest
        ratio that is meant to be, or with '>' the smallest; a number for the first way, or {way: number}."""
        for number, (way, theirs) in enumerate(beside.items()):
            aim = reach.get(way) if isinstance(reach, dict) else reach if number == 0 else None
            self.rows.append({
                'what': what, 'unit': unit, 'beside': way, 'rounds': len(ours), 'reach': aim,
                'ours': spread(ours), 'theirs': spread(theirs),
                'ratio': spread([one / base for one, base in zip(ours, theirs)]) if all(theirs) else None})

    def add_growth(self, what, unit, beside, points):
        """points: {how many: (ours, theirs or None)}"""
        self.growth.append({'what': what, 'unit': unit, 'beside': beside,
                            'points': [{'count': count, 'ours': float(f'{ours:.4g}'),
                                        'theirs': None if theirs is None else float(f'{theirs:.4g}')}
                                       for count, (ours, theirs) in sorted(points.items())]})

    def miss(self, what):
        self.missing.append(what)


def number(value):
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def table(head, lines):
    """The columns in line, and Markdown."""
    lines = [head, *lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = ['| ' + ' | '.join(cell.ljust(width) for cell, width in zip(line, widths)) + ' |' for line in lines]
    text.insert(1, '|' + '|'.join('-' * (width + 2) for width in widths) + '|')
    return '\n'.join(text)


def reach_words(reach):
    return '' if reach is None else reach if isinstance(reach, str) else f'<= {reach}'


def row_line(rows):
    """One line for all that it is measured beside: the first in full, of the others the ratio's median."""
    row, others = rows[0], rows[1:]
    ratio = row['ratio']
    more = ', '.join(f"{one['beside']}: {one['ratio']['median']:.3g}" + (f" ({reach_words(one['reach'])})" if one['reach'] else '')
                     for one in others if one['ratio'])
    return (row['what'], f"{number(row['ours']['median'])} {row['unit']}",
            f"{row['beside']}: {number(row['theirs']['median'])}",
            f"{ratio['median']:.3g} ({ratio['p10']:.3g} to {ratio['p90']:.3g})" if ratio else '', reach_words(row['reach']), more)


def rows_table(rows):
    lines = {}
    for row in rows:
        lines.setdefault(row['what'], []).append(row)
    return table(('what', 'procfs-mp', 'beside', 'ratio (p10 to p90)', 'meant', 'ratio to others'),
                 map(row_line, lines.values()))


def growth_table(growth):
    counts = sorted({point['count'] for row in growth for point in row['points']})
    lines = []
    for row in growth:
        points = {point['count']: point for point in row['points']}
        cells = [f"{row['what']}, {row['unit']}; {row['beside']}"]
        for count in counts:
            point = points.get(count)
            theirs = point and point['theirs']
            cells.append('' if not point else number(point['ours']) if theirs is None else
                         f"{number(point['ours'])}; {number(theirs)}")
        lines.append(tuple(cells))
    return table(('each of', *(f'{count:,}' for count in counts)), lines)


def requests_table(requests, not_waited_for):
    lines = []
    for step, counts in requests.items():
        waited = sum(count for opcode, count in counts.items() if opcode not in not_waited_for)
        lines.append((step, str(waited), ', '.join(f'{count} {opcode}' if count > 1 else opcode
                                                   for opcode, count in counts.items())))
    return table(('operation', 'waited for', 'requests'), lines)
