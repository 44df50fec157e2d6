export const poison = Buffer.from('crash at this slot')
