import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { parseHtpasswd } from '../../src/credentials/parse-htpasswd.ts'
import { describeWithTools, runProgram, runTool } from './tools.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

describeWithTools(['htpasswd'], 'A line of "pinnace user hash"', () => {
  it('is one of Apache’s, and one of this node’s', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pinnace-htpasswd-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const file = join(folder, 'htpasswd')
    let text = ''
    for (const [name, password] of [
      ['alice', 'correct horse'],
      ['bob smith', 'ünïcode']
    ] as const) {
      text += (await runProgram(process.execPath, [main, 'user', 'hash', name], { input: `${password}\n` })).stdout
    }
    await writeFile(file, text)
    await runTool('htpasswd', ['-vb', file, 'alice', 'correct horse'])
    await runTool('htpasswd', ['-vb', file, 'bob smith', 'ünïcode'])
    await expect(runTool('htpasswd', ['-vb', file, 'alice', 'wrong horse'])).rejects.toThrow(/verification failed/)
    expect([...parseHtpasswd(text).keys()]).toEqual(['alice', 'bob smith'])
  })
})
