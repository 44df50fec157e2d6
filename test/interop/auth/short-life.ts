/** ms */
export const shortLife = 60_000
