/** What the extensions of a certificate say that Node's `X509Certificate` does not tell (RFC 5280, section 4.2.1). */
export interface CertificateExtensions {
  /** `keyUsage` has `digitalSignature`, or there is no such extension. */
  signs: boolean
  /** `keyUsage` has `keyCertSign`, or there is no such extension. */
  signsCertificates: boolean
  /** Certificates that may come between this one and the last; `undefined`: any number. */
  pathLength: number | undefined
  /** It has a critical extension that is not understood here, so it must be refused. */
  unknownCritical: boolean
  /** It was signed over MD5 or SHA-1, for which a second text with the same hash can be made. */
  weakSignature: boolean
}

interface Element {
  tag: number
  content: Buffer
}

/** DER of the object identifiers, in hex. */
const oid = {
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  subjectAltName: '551d11',
  certificatePolicies: '551d20',
  extendedKeyUsage: '551d25'
} as const
const understood: ReadonlySet<string> = new Set(Object.values(oid))
const weak: ReadonlySet<string> = new Set([
  // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1
  '2a864886f70d010104',
  '2a864886f70d010105',
  '2a8648ce3d0401'
])

/** @throws {Error} when the bytes are no certificate */
export function readExtensions(der: Buffer): CertificateExtensions {
  const [outer] = elements(der)
  const [certificate] = elements(outer?.content)
  const fields = elements(certificate?.content)
  const algorithm = fields[fields[0]?.tag === 0xa0 ? 2 : 1]
  const [signedWith] = elements(algorithm?.content)
  const found: CertificateExtensions = {
    signs: true,
    signsCertificates: true,
    pathLength: undefined,
    unknownCritical: false,
    weakSignature: signedWith === undefined || weak.has(signedWith.content.toString('hex'))
  }
  const wrapped = fields.find(({ tag }) => tag === 0xa3)
  if (wrapped === undefined) return found
  for (const extension of elements(elements(wrapped.content)[0]?.content)) readExtension(extension, found)
  return found
}

function readExtension(extension: Element, found: CertificateExtensions): void {
  const [id, ...rest] = elements(extension.content)
  const name = id?.content.toString('hex') ?? ''
  const critical = rest[0]?.tag === 0x01 && rest[0].content[0] !== 0
  const value = rest.at(-1)
  if (critical && !understood.has(name)) found.unknownCritical = true
  if (name === oid.keyUsage) {
    const [bits] = elements(value?.content)
    const first = bits?.content[1] ?? 0
    found.signs = (first & 0x80) !== 0
    found.signsCertificates = (first & 0x04) !== 0
  }
  if (name === oid.basicConstraints) {
    const length = elements(elements(value?.content)[0]?.content).find(({ tag }) => tag === 0x02)
    if (length !== undefined) found.pathLength = length.content.readUIntBE(0, Math.min(4, length.content.length))
  }
}

/** The DER elements that follow each other in some bytes (X.690, section 8.1). */
function elements(bytes: Buffer | undefined): Element[] {
  const found: Element[] = []
  if (bytes === undefined) return found
  let at = 0
  while (at < bytes.length) {
    const tag = bytes.readUInt8(at)
    let length = bytes.readUInt8(at + 1)
    at += 2
    if (length > 0x80) {
      const digits = length - 0x80
      if (digits > 4) throw new Error('no certificate: a length is too long')
      length = bytes.readUIntBE(at, digits)
      at += digits
    }
    if (at + length > bytes.length) throw new Error('no certificate: cut off')
    found.push({ tag, content: bytes.subarray(at, at + length) })
    at += length
  }
  return found
}
