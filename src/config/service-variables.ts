import { isIP } from 'node:net'

/**
 * Names that Kubernetes, and Docker before it, sets in every container for each service of the namespace, with the values they
 * have: a service "registry-auth" is `REGISTRY_AUTH_SERVICE_HOST=10.0.0.1`, `REGISTRY_AUTH_PORT=tcp://10.0.0.1:5001` and so on.
 */
const forms: readonly (readonly [name: RegExp, isValue: (value: string) => boolean])[] = [
  [/_SERVICE_HOST$/, isAddress],
  [/_SERVICE_PORT(?:_[A-Z0-9_]+)?$/, isPort],
  [/_PORT(?:_\d+_(?:TCP|UDP|SCTP))?$/, value => /^(?:tcp|udp|sctp):\/\//i.test(value)],
  [/_PORT_\d+_(?:TCP|UDP|SCTP)_PROTO$/, value => /^(?:tcp|udp|sctp)$/i.test(value)],
  [/_PORT_\d+_(?:TCP|UDP|SCTP)_PORT$/, isPort],
  [/_PORT_\d+_(?:TCP|UDP|SCTP)_ADDR$/, isAddress]
]

/**
 * Whether a container platform set this variable for a service whose name begins with "registry". Nobody wrote it for this node,
 * even where its name is that of a key. Name and value decide together: `REGISTRY_HTTP_PORT=5000` is somebody's mistake.
 */
export function isServiceVariable(name: string, value: string): boolean {
  return forms.some(([form, isValue]) => form.test(name) && isValue(value.trim()))
}

function isAddress(value: string): boolean {
  return isIP(value) !== 0
}

function isPort(value: string): boolean {
  return /^\d{1,5}$/.test(value)
}
