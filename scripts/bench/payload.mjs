// Messages that can be checked: u32 number, u32 size, …, and at the end the number again, disguised.
const disguise = 0x5a5a5a5a

export function make(n, size) {
  const data = Buffer.allocUnsafe(size)
  data.writeUInt32LE(n, 0)
  data.writeUInt32LE(size, 4)
  data.writeUInt32LE((n ^ disguise) >>> 0, size - 4)
  return data
}

/** The number, or -1 when the message is damaged. */
export function check(data) {
  if (data.length < 12 || data.readUInt32LE(4) !== data.length) return -1
  const n = data.readUInt32LE(0)
  return data.readUInt32LE(data.length - 4) === (n ^ disguise) >>> 0 ? n : -1
}
