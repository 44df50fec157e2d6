import { type Output, paint, printable } from './terminal.ts'

export interface Column {
  title: string
  align?: 'left' | 'right'
}

/**
 * An aligned table written as rows arrive: widths come from a first page of rows and only grow, so a million rows need
 * no more memory than one page.
 */
export class Table {
  readonly #out: Output
  readonly #columns: readonly Column[]
  readonly #widths: number[]
  #waiting: string[][] = []
  #started = false

  /** Rows looked at before the first is written. */
  static readonly pageRows = 200

  constructor(out: Output, columns: readonly Column[]) {
    this.#out = out
    this.#columns = columns
    this.#widths = columns.map(column => column.title.length)
  }

  row(...cells: string[]): void {
    this.#waiting.push(cells.map(printable))
    if (this.#waiting.length >= Table.pageRows) this.#flush()
  }

  /** Writes what is waiting; the head also when there was no row. */
  end(): void {
    this.#flush()
  }

  #flush(): void {
    for (const cells of this.#waiting) {
      cells.forEach((cell, index) => {
        this.#widths[index] = Math.max(this.#widths[index] ?? 0, cell.length)
      })
    }
    if (!this.#started) {
      this.#started = true
      const head = this.#align(this.#columns.map(column => column.title))
      this.#out.write(`${paint(this.#out, 'bold', head)}\n`)
    }
    for (const cells of this.#waiting) this.#out.write(`${this.#align(cells)}\n`)
    this.#waiting = []
  }

  #align(cells: readonly string[]): string {
    const aligned = cells.map((cell, index) => {
      const width = this.#widths[index] ?? 0
      return this.#columns[index]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width)
    })
    return aligned.join('  ').trimEnd()
  }
}
