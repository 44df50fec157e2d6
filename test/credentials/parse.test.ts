import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidText } from '../../src/credentials/credential-file.ts'
import { parseGroups } from '../../src/credentials/parse-groups.ts'
import { costOf, parseHtpasswd } from '../../src/credentials/parse-htpasswd.ts'

const hash = (cost = '05', version = '2y') => `$${version}$${cost}$${'a'.repeat(53)}`

/** Where and why a text is refused. */
function refusal(parse: (text: string) => unknown, text: string): { line: number | undefined; message: string } {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof InvalidText) return { line: error.line, message: error.message }
    throw error
  }
  return expect.fail('it was taken')
}

describe('htpasswd', () => {
  it('is names and bcrypt hashes, with blank lines and comments', () => {
    const text = `\ufeff# users\r\n\r\nalice:${hash()}\r\n  bob:${hash('12', '2b')}  \n#carol:${hash()}\nädda o:${hash('10', '2a')}`
    expect([...parseHtpasswd(text)]).toEqual([
      ['alice', hash()],
      ['bob', hash('12', '2b')],
      ['ädda o', hash('10', '2a')]
    ])
  })

  it('has nobody when it is empty', () => {
    expect(parseHtpasswd('').size).toBe(0)
    expect(parseHtpasswd('\n# nobody\n').size).toBe(0)
  })

  it('takes the last line of a name, as distribution does', () => {
    expect(parseHtpasswd(`a:${hash('05')}\na:${hash('06')}`).get('a')).toBe(hash('06'))
  })

  it.each([
    ['MD5', '$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/'],
    ['SHA-1', '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='],
    ['SHA-256', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8'],
    ['SHA-512', '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO'],
    ['yescrypt', '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'],
    ['Argon2', '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG'],
    ['2x', hash('05', '2x')],
    ['damaged bcrypt', hash().slice(0, -1)],
    ['damaged bcrypt', `${hash()}:more`],
    ['password itself', 'hunter2'],
    ['password itself', ''],
    ['cost 17', hash('17')],
    ['cost 3', hash('03')]
  ])('is refused with %s, naming the line and never the hash', (kind, other) => {
    const { line, message } = refusal(parseHtpasswd, `a:${hash()}\n\nbob:${other}\n`)
    expect(line).toBe(3)
    expect(message).toContain(kind)
    expect(message).toMatch(/htpasswd -B/)
    if (other.length > 8) expect(message).not.toContain(other.slice(8))
  })

  it.each([
    ['no colon', 'alice'],
    ['no name', `:${hash()}`],
    ['a control character', `a\u0007b:${hash()}`],
    ['a name too long', `${'ä'.repeat(128)}:${hash()}`]
  ])('is refused with %s', (_, line) => {
    expect(refusal(parseHtpasswd, line).line).toBe(1)
  })

  it('whatever it holds, is taken or refused', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 90 }),
      fc.tuple(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 })).map(([a, b]) => `${a}:${hash()}${b}`),
      fc.tuple(fc.string({ maxLength: 12 }), fc.nat(40)).map(([a, b]) => `${a}:${hash(String(b))}`)
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), lines => {
        let users = new Map<string, string>()
        try {
          users = parseHtpasswd(lines.join('\n'))
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidText)
        }
        for (const [name, kept] of users) {
          expect(name).not.toBe('')
          expect(costOf(kept)).toBeGreaterThanOrEqual(4)
        }
      }),
      { numRuns: 500 }
    )
  })

  it('has a line for each of 20,000 users', () => {
    const text = Array.from({ length: 20_000 }, (_, at) => `user${at}:${hash()}`).join('\n')
    expect(parseHtpasswd(text).size).toBe(20_000)
  })
})

describe('the group file', () => {
  it('is groups with their users, in one line or several', () => {
    const text = '# groups\ndev: alice bob\n\nops:\tbob   carol\r\nempty:\ndev: dora'
    expect([...parseGroups(text)]).toEqual([
      ['alice', ['dev']],
      ['bob', ['dev', 'ops']],
      ['carol', ['ops']],
      ['dora', ['dev']]
    ])
  })

  it.each(['alice bob', ': alice', 'two words: alice', 'a,b: alice', `${'a'.repeat(256)}: alice`])(
    'is refused with %s',
    line => {
      expect(refusal(parseGroups, `\n${line}`).line).toBe(2)
    }
  )

  it('whatever it holds, is taken or refused', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ maxLength: 40 }).map(it => `g: ${it}`)
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), lines => {
        try {
          for (const [user, groups] of parseGroups(lines.join('\n'))) {
            expect(user).toMatch(/^\S+$/)
            expect(new Set(groups).size).toBe(groups.length)
          }
        } catch (error) {
          if (!(error instanceof InvalidText)) throw error
        }
      }),
      { numRuns: 500 }
    )
  })
})
