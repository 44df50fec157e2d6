import { describe, expect, it } from 'vitest'
import { readExpiry } from '../../src/cli/expiry.ts'

const now = Date.parse('2026-11-21T12:00:00Z')

describe('--expires', () => {
  it.each([
    ['90d', '2027-02-19T12:00:00.000Z'],
    ['12h', '2026-11-22T00:00:00.000Z'],
    ['30m', '2026-11-21T12:30:00.000Z'],
    ['2w', '2026-12-05T12:00:00.000Z'],
    ['1y', '2027-11-21T12:00:00.000Z'],
    // A date counts to its end.
    ['2027-01-31', '2027-02-01T00:00:00.000Z'],
    ['2028-02-29', '2028-03-01T00:00:00.000Z'],
    ['2027-01-31T10:00Z', '2027-01-31T10:00:00.000Z'],
    ['2027-01-31T10:00:30+02:00', '2027-01-31T08:00:30.000Z'],
    ['2020-01-01', '2020-01-02T00:00:00.000Z']
  ])('%s ends at %s', (text, end) => {
    const expiry = readExpiry(text, now)
    expect(typeof expiry === 'number' && new Date(expiry).toISOString()).toBe(end)
  })

  it('may be never', () => {
    expect(readExpiry('never', now)).toBe('never')
  })

  it.each([
    '',
    '0d',
    '-1d',
    '1.5d',
    '90',
    '90 d',
    '90D',
    '1234567d',
    '999999y',
    'd',
    'Never',
    'tomorrow',
    '2027-1-1',
    '2027-02-30'
  ])('%s is nothing', text => expect(readExpiry(text, now)).toBeUndefined())

  it.each(['2027-13-01', '2027-02-29', '2027-01-31T10:00', '2027-01-31T25:00Z', '31.01.2027', '20270131'])(
    '%s is no date',
    text => expect(readExpiry(text, now)).toBeUndefined()
  )
})
