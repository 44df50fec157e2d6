/** Takes the folder named in argv (as the user of that id, if one is given), says so, and holds it until its standard input ends. */
import { DataFolderLocked, openDataFolder } from '../../src/data-folder.ts'

const [path, uid] = process.argv.slice(2)
// After the imports, which that user may not be allowed to read.
if (uid !== undefined) process.setuid?.(Number(uid))
try {
  const folder = await openDataFolder(path ?? '', { command: 'serve', create: true })
  console.log('held')
  process.stdin.resume().once('end', () => void folder.close().then(() => process.exit(0)))
} catch (error) {
  console.log(error instanceof DataFolderLocked ? `refused ${error.holder.pid}` : String(error))
  process.exit(1)
}
