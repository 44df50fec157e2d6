import { expect, it } from 'vitest'
import { type Report, renderReport } from '../../../scripts/bench/report.ts'

const report: Report = {
  at: '2026-01-02T03:04',
  machine: { cpu: 'Some CPU', cores: 2, memory: 16, system: 'linux 6 x64', node: 'v24.0.0', load: 0.5 },
  tls: false,
  rounds: 3,
  targets: ['pinnace', 'other'],
  missing: ['olareg'],
  rows: [
    {
      name: 'push',
      unit: 'MB/s',
      better: 'more',
      values: { pinnace: [200, 300, 600], other: [100, undefined, 300] },
      cpu: { pinnace: [1, 1.5, 2], other: [] },
      notes: ['other, round 2: no answer']
    },
    { name: 'latency', unit: 'ms', better: 'less', values: { pinnace: [4] }, cpu: {}, notes: [] }
  ]
}

it('the table says medians, ratios with their spread, gaps and notes', () => {
  const lines = renderReport(report).split('\n')
  const cells = (start: string): string[] =>
    (lines.find(line => line.startsWith(`| ${start}`)) ?? '').split('|').map(cell => cell.trim())
  expect(cells('push')).toEqual(['', 'push (MB/s)', '300', '200', '**2.00** (2.00–2.00; 2.00–2.00)', '1.50 · –', ''])
  expect(cells('latency')).toEqual(['', 'latency (ms)', '4.00', '–', '–', '– · –', ''])
  expect(lines).toContain('not installed here: olareg')
  expect(lines).toContain('push: other, round 2: no answer')
})
