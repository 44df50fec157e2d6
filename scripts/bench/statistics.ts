/** Median and spread of a sample. */
export interface Summary {
  median: number
  min: number
  max: number
  /** First and third quartile: between them lies half of the sample. */
  q1: number
  q3: number
  /** How many values. */
  n: number
}

/** The value below which so large a part of the sample lies, between neighbours by proportion. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * part
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

export function summarize(values: readonly number[]): Summary {
  return {
    median: quantile(values, 0.5),
    min: quantile(values, 0),
    max: quantile(values, 1),
    q1: quantile(values, 0.25),
    q3: quantile(values, 0.75),
    n: values.length
  }
}

/**
 * Ours to theirs, round by round, so that what slowed a whole round down cancels out. Rounds that one of them failed are
 * left out. Above 1 is better for us, whichever way the quantity goes.
 */
export function ratios(
  ours: readonly (number | undefined)[],
  theirs: readonly (number | undefined)[],
  better: 'more' | 'less'
): number[] {
  return ours.flatMap((mine, round) => {
    const other = theirs[round]
    if (mine === undefined || other === undefined) return []
    return [better === 'more' ? mine / other : other / mine]
  })
}

/** Least squares: by how much `y` grows when `x` grows by one. */
export function slope(points: readonly { x: number; y: number }[]): number {
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(points.map(point => point.x))
  const y = mean(points.map(point => point.y))
  let covariance = 0
  let variance = 0
  for (const point of points) {
    covariance += (point.x - x) * (point.y - y)
    variance += (point.x - x) ** 2
  }
  return variance === 0 ? 0 : covariance / variance
}
