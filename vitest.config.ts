import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real daemons and 1 GiB blobs: generous limits that only a hang reaches.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Two cores: more workers would only make the timing of foreign daemons worse.
    maxWorkers: 2,
    pool: 'forks'
  }
})
