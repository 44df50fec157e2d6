import { count, duration, flag, section } from '../fields.ts'

export const health = section('What `/readyz` answers from.', {
  storagedriver: section('A small write, read and removal in the data folder.', {
    enabled: flag({
      description: 'Whether the data folder is checked.',
      defaultNote: '`true` without a configuration file, `false` (as with distribution) with one'
    }),
    interval: duration({ default: '10s', description: 'Time between two checks.' }),
    threshold: count({
      minimum: 0,
      maximum: 1000,
      description: 'Failures in a row that make the node not ready; 0 is read as 1.',
      defaultNote: '`3` without a configuration file, `1` (as with distribution) with one'
    })
  })
})
