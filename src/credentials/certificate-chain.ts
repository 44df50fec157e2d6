import { type KeyObject, X509Certificate } from 'node:crypto'
import { readExtensions } from './certificate-extensions.ts'

/** More than any certificate authority needs; each costs a signature check. */
const longestChain = 6

/** The chain is not one that leads to a root; the message says why. */
export class UntrustedChain extends Error {
  override readonly name = 'UntrustedChain'
}

/**
 * Follows the `x5c` of a JWT (RFC 7515, section 4.1.6: the signer's certificate, each further one certifying the one before)
 * to one of the roots. A certificate that is itself among the roots is trusted as it is, like distribution does.
 *
 * Signatures are checked from the root downwards, each with a key that is already trusted: a stranger's own certificates
 * may have keys that take long to check with.
 *
 * @param now - ms since epoch; every certificate on the way must be valid then
 * @returns the signer's key
 * @throws {UntrustedChain}
 */
export function verifyChain(x5c: unknown, roots: readonly X509Certificate[], now: number): KeyObject {
  const chain = readChain(x5c)
  const [leaf] = chain
  if (leaf === undefined) throw new UntrustedChain('x5c has no certificate')
  if (!readExtensions(leaf.raw).signs)
    throw new UntrustedChain('the key of the certificate is not for signatures (keyUsage)')
  const anchored = chain.findIndex((certificate, depth) => isAnchored(certificate, depth, roots, now))
  if (anchored < 0) throw new UntrustedChain('the certificate does not lead to rootcertbundle')
  for (let depth = anchored; depth >= 0; depth--) {
    const [certificate, issuer] = [chain[depth], chain[depth + 1]]
    if (certificate === undefined) continue
    const flaw = flawOf(certificate, now)
    if (flaw !== undefined) throw new UntrustedChain(flaw)
    if (depth < anchored && !(issuer !== undefined && issued(issuer, certificate, depth)))
      throw new UntrustedChain('a certificate was not issued by the next one')
  }
  return leaf.publicKey
}

/** Whether the certificate is a root or was issued by one. */
function isAnchored(
  certificate: X509Certificate,
  depth: number,
  roots: readonly X509Certificate[],
  now: number
): boolean {
  if (roots.some(root => root.raw.equals(certificate.raw))) return true
  // A root that was renewed has the same name and key as the one that has expired, and both may be there.
  const issuers = roots.filter(candidate => issued(candidate, certificate, depth))
  const flaws = issuers.map(issuer => flawOf(issuer, now))
  const [flaw] = flaws
  if (flaw !== undefined && !flaws.includes(undefined)) throw new UntrustedChain(flaw)
  return issuers.length > 0
}

function readChain(x5c: unknown): X509Certificate[] {
  if (!Array.isArray(x5c) || x5c.length > longestChain)
    throw new UntrustedChain(`x5c is no list of 1 to ${longestChain} certificates`)
  return x5c.map((encoded: unknown) => {
    if (typeof encoded !== 'string') throw new UntrustedChain('x5c holds something that is no text')
    try {
      return new X509Certificate(Buffer.from(encoded, 'base64'))
    } catch {
      throw new UntrustedChain('x5c holds something that is no certificate')
    }
  })
}

/** Why a certificate does not count; `undefined` for one that does. */
function flawOf(certificate: X509Certificate, now: number): string | undefined {
  if (now < certificate.validFromDate.getTime()) return 'a certificate is not valid yet'
  if (now > certificate.validToDate.getTime()) return 'a certificate has expired'
  const { unknownCritical, weakSignature } = readExtensions(certificate.raw)
  if (unknownCritical) return 'a certificate has a critical extension that is not understood'
  return weakSignature ? 'a certificate was signed over SHA-1 or MD5' : undefined
}

/** @param below - intermediate certificates between `issuer` and the leaf, `certificate` among them */
function issued(issuer: X509Certificate, certificate: X509Certificate, below: number): boolean {
  if (!issuer.ca || !certificate.checkIssued(issuer)) return false
  const { signsCertificates, pathLength } = readExtensions(issuer.raw)
  if (!signsCertificates || (pathLength !== undefined && below > pathLength)) return false
  return certificate.verify(issuer.publicKey)
}
