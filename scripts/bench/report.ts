import type { Machine } from './machine.ts'
import type { Row } from './measure.ts'
import { ratios, summarize } from './statistics.ts'

export interface Report {
  at: string
  machine: Machine
  tls: boolean
  rounds: number
  /** Ours first. */
  targets: string[]
  missing: string[]
  rows: Row[]
}

/** The figures as a Markdown table, which reads as well on a terminal. */
export function renderReport(report: Report): string {
  const { machine, targets, rows } = report
  const [ours = '', ...peers] = targets
  const lines = [
    `${report.at}, ${machine.cores} × ${machine.cpu}, ${machine.memory} GiB, ${machine.system}, Node ${machine.node}`,
    `${report.tls ? 'TLS' : 'plain HTTP'}, ${report.rounds} rounds, load average at the start ${machine.load}`,
    ...(report.missing.length === 0 ? [] : [`not installed here: ${report.missing.join(', ')}`]),
    '',
    'Medians; ratios are ours to theirs round by round, above 1 better for us: median (middle half; all).',
    '',
    ...alignTable([
      ['work', ...targets, ...peers.map(peer => `${ours} : ${peer}`), 'CPU s, medians'],
      ...rows.map(row => cellsOf(row, ours, peers))
    ])
  ]
  for (const { name, notes } of rows) for (const note of notes) lines.push('', `${name}: ${note}`)
  return `${lines.join('\n')}\n`
}

function cellsOf(row: Row, ours: string, peers: readonly string[]): string[] {
  const mine = row.values[ours] ?? []
  return [
    `${row.name} (${row.unit})`,
    ...[ours, ...peers].map(name => medianOf(row.values[name])),
    ...peers.map(peer => ratioOf(ratios(mine, row.values[peer] ?? [], row.better))),
    [ours, ...peers].map(name => medianOf(row.cpu[name])).join(' · ')
  ]
}

function medianOf(values: readonly (number | undefined)[] | undefined): string {
  const present = (values ?? []).filter(value => value !== undefined)
  return present.length === 0 ? '–' : figure(summarize(present).median)
}

function ratioOf(values: readonly number[]): string {
  if (values.length === 0) return '–'
  const { median, q1, q3, min, max } = summarize(values)
  const [a, b, c, d, e] = [median, q1, q3, min, max].map(value => value.toFixed(2))
  return `**${a}** (${b}–${c}; ${d}–${e})`
}

/** Three digits that mean something. */
function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

function alignTable(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`
  const [head = [], ...body] = rows
  return [line(head), rule, ...body.map(line)]
}
